import * as fs from 'node:fs';
import * as path from 'node:path';

/** Where `scripts/install-tools mta` put the two MTAs, and what must be in the environment to run them. */
export interface Installation {
  /** The unpacked tree: `<root>/usr/sbin` and so on. */
  readonly root: string;
  /** LD_LIBRARY_PATH for programs of the tree: their shared libraries lie beside them. */
  readonly libraryPath: string;
  /** Debian package name to version. */
  readonly versions: ReadonlyMap<string, string>;
}

/** The project's folder. The tests run compiled, some folders deeper than their sources. */
export const projectRoot = findProjectRoot();

function findProjectRoot(): string {
  let dir = __dirname;
  while (!fs.existsSync(path.join(dir, 'package.json'))) {
    const parent = path.dirname(dir);
    if (parent === dir) throw new Error(`no package.json above ${__dirname}`);
    dir = parent;
  }
  return dir;
}

/** Why the MTAs cannot be started on this machine; undefined where they can. */
export function unavailable(): string | undefined {
  if (process.platform !== 'linux') return 'the MTAs are run on Linux only';
  if (process.getuid?.() !== 0) return 'Sendmail and Postfix have to be started by root';
  if (!fs.existsSync(stampFile()))
    return "Sendmail and Postfix are not there: run 'scripts/install-tools mta'";
  return undefined;
}

export function installation(): Installation {
  const reason = unavailable();
  if (reason) throw new Error(reason);
  const root = path.dirname(stampFile());
  const lib = path.join(root, 'usr/lib');
  const triplet = fs.readdirSync(lib).filter((name) => name.includes('-linux-gnu'));
  const folders = [path.join(lib, 'postfix'), ...triplet.map((name) => path.join(lib, name))];
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
