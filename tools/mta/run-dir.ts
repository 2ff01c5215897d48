import * as fs from 'node:fs';

/**
 * Makes a folder for one run of an MTA. Its path is short, for unix sockets may lie in it, whose paths are
 * limited to 107 bytes. The MTAs' unprivileged processes may pass through it, nobody may list it.
 */
export function makeRunDir(name: string): string {
  // Not os.tmpdir(): a private one is closed to those processes, and Sendmail does not trust every folder.
  const dir = fs.mkdtempSync(`/tmp/mta-${name}-`);
  fs.chmodSync(dir, 0o711);
  return dir;
}
