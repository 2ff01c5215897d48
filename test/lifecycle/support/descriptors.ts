/** The open descriptors of a process. */
import { readdirSync, readlinkSync } from 'node:fs';

/** What each of them is: a path, or such as `socket:[123]`. */
export function openFiles(pid: number): string[] {
  const directory = `/proc/${pid}/fd`;
  return readdirSync(directory).map((fd) => {
    try {
      return readlinkSync(`${directory}/${fd}`);
    } catch {
      return 'closed meanwhile';
    }
  });
}
