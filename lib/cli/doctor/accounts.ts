/** Users and what they may do, by the system's own programs, which know of LDAP and the like. */
import { execFile } from 'node:child_process';
import { access, constants, type Stats } from 'node:fs';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly groups: readonly number[];
}

/** The account of that name; null if there is none. */
export async function findAccount(name: string): Promise<Account | null> {
  try {
    const [uid, groups] = await Promise.all([run('id', ['-u', '--', name]), run('id', ['-G', '--', name])]);
    return { name, uid: Number(uid.stdout), groups: groups.stdout.trim().split(' ').map(Number) };
  } catch {
    return null;
  }
}

/** Whether the mode gives an account a right on a file: 1 search, 2 write. Access control lists are not considered. */
export function hasRight({ uid, groups }: Account, stats: Stats, right: 1 | 2): boolean {
  if (uid === 0) return true;
  if (stats.uid === uid) return (stats.mode & (right << 6)) !== 0;
  if (groups.includes(stats.gid)) return (stats.mode & (right << 3)) !== 0;
  return (stats.mode & right) !== 0;
}

/**
 * Whether an account can write to a path, which is what connecting to a socket needs: asked of the system in the account's name.
 * @returns null if this process may not act for the account
 */
export async function canWrite({ uid, groups }: Account, path: string): Promise<boolean | null> {
  if (process.getuid?.() === uid) {
    return await new Promise((resolve) => access(path, constants.W_OK, (error) => resolve(error === null)));
  }
  if (process.getuid?.() !== 0) return null;
  const [gid = uid] = groups;
  const as = [`--reuid=${uid}`, `--regid=${gid}`, `--groups=${groups.join(',')}`];
  try {
    await run('setpriv', [...as, 'test', '-w', path]);
    return true;
  } catch (error) {
    // 1 is the answer of test; setpriv itself ends otherwise, or is missing.
    return (error as { code?: unknown }).code === 1 ? false : null;
  }
}
