import * as fs from 'node:fs';

/**
 * Makes a folder for one run of an MTA. Its path is short, because the path of a unix socket in it has at most 107 bytes.
 * The unprivileged processes of the MTAs may enter it, but not list it. The MTA's supervisor removes it.
 */
export function makeRunDir(name: string): string {
  // Not in os.tmpdir(), which may be closed to those processes; nor does Sendmail trust every folder.
  const dir = fs.mkdtempSync(`/tmp/mta-${name}-`);
  fs.chmodSync(dir, 0o711);
  return dir;
}
