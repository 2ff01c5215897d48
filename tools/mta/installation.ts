import * as fs from 'node:fs';
import * as path from 'node:path';
import { projectRoot } from '../project-root';

/** Where `scripts/install-tools mta` has put the two MTAs, and the environment that they need. */
export interface Installation {
  /** The unpacked tree: `<root>/usr/sbin` and so on. */
  readonly root: string;
  /** LD_LIBRARY_PATH for programs of the tree, which has their shared libraries. */
  readonly libraryPath: string;
  /** Debian package name to version. */
  readonly versions: ReadonlyMap<string, string>;
}

/** Why the MTAs cannot be started on this machine; undefined if they can. */
export function unavailable(): string | undefined {
  if (process.platform !== 'linux') return 'the MTAs run on Linux only';
  if (process.getuid?.() !== 0) return 'Sendmail and Postfix must be started by root';
  if (!fs.existsSync(stampFile()))
    return "Sendmail and Postfix are not installed: run 'scripts/install-tools mta'";
  return undefined;
}

export function installation(): Installation {
  const reason = unavailable();
  if (reason) throw new Error(reason);
  const root = path.dirname(stampFile());
  const lib = path.join(root, 'usr/lib');
  const triplet = fs.readdirSync(lib).filter((name) => name.includes('-linux-gnu'));
  const folders = [
    path.join(lib, 'postfix'),
    path.join(lib, 'rspamd'),
    ...triplet.map((name) => path.join(lib, name)),
    lib,
  ];
  return { root, libraryPath: folders.join(':'), versions: readVersions() };
}

function readVersions(): Map<string, string> {
  const versions = new Map<string, string>();
  for (const line of fs.readFileSync(stampFile(), 'utf8').split('\n')) {
    const [name, version] = line.split(' ');
    if (name && version) versions.set(name, version);
  }
  return versions;
}

function stampFile(): string {
  return path.join(projectRoot, '.mta/root/stamp');
}
