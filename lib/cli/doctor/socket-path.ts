/** The way through the file system to a unix socket, and who may go it. */
import { lstatSync, readFileSync, realpathSync, type Stats, statSync } from 'node:fs';
import { dirname, join, sep } from 'node:path';
import type { Finding } from '../finding.js';
import { type Account, canWrite, findAccount, hasRight } from './accounts.js';

/** What is known of the MTA that goes the way; null for none in particular. */
export interface Visitor {
  readonly mta: string;
  readonly user: string;
  readonly chroot: string | null;
  readonly refusesWritableDirectories: boolean;
}

/** Examines the directories above a socket, the socket's file, and whether the visitor may connect. */
export async function checkSocketPath(path: string, visitor: Visitor | null): Promise<Finding[]> {
  const directories = directoriesAbove(path);
  const missing = directories.find(
    (directory) => !statSync(directory, { throwIfNoEntry: false })?.isDirectory(),
  );
  if (missing !== undefined) return [missingDirectory(path, missing, visitor?.chroot ?? null)];
  const found = [
    ...mountFindings(path),
    ...(visitor ? await writableDirectories(path, directories, visitor) : []),
  ];
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (!stats) {
    const cure = 'start the filter; if it runs, compare the path with the one that it listens on';
    return [
      ...found,
      {
        level: 'error',
        code: 'socket-missing',
        about: path,
        message: 'does not exist',
        cure: chrootHint(path, visitor?.chroot ?? null) ?? cure,
      },
    ];
  }
  if (!stats.isSocket() && !statSync(path, { throwIfNoEntry: false })?.isSocket()) {
    return [
      ...found,
      {
        level: 'error',
        code: 'socket-type',
        about: path,
        message: 'is not a socket',
        cure: 'move it away, and start the filter',
      },
    ];
  }
  if (visitor) found.push(await accessFinding(path, directories, visitor));
  return found;
}

/** From the root down. */
function directoriesAbove(path: string): string[] {
  const parts = dirname(path).split(sep).filter(Boolean);
  return ['/', ...parts.map((_, at) => join('/', ...parts.slice(0, at + 1)))];
}

function missingDirectory(path: string, directory: string, chroot: string | null): Finding {
  const cure = chrootHint(path, chroot) ?? 'create it for the filter (systemd: RuntimeDirectory=)';
  const message = `the directory ${directory} does not exist`;
  return { level: 'error', code: 'directory-missing', about: path, message, cure };
}

/** A socket that is where its name says, but outside the chroot in which the MTA looks for it. */
function chrootHint(path: string, chroot: string | null): string | undefined {
  if (chroot === null || !path.startsWith(`${chroot}/`)) return undefined;
  const named = path.slice(chroot.length);
  if (!lstatSync(named, { throwIfNoEntry: false })?.isSocket()) return undefined;
  return (
    `the filter listens on ${named}, which Postfix cannot reach from its chroot ${chroot}: let the filter listen below ${chroot}, ` +
    'or set the fifth column of smtpd and cleanup in master.cf to n'
  );
}

function mountFindings(path: string): Finding[] {
  const mount = mountOf(dirname(path));
  if (!mount) return [];
  const about = dirname(path);
  if (mount.options.includes('ro')) {
    const message = `is on a read-only file system (${mount.point}, ${mount.type})`;
    return [
      {
        level: 'error',
        code: 'mount',
        about,
        message,
        cure: 'choose another directory, such as one below /run',
      },
    ];
  }
  if (/^(?:nfs|cifs|9p|fuse)/.test(mount.type)) {
    const message = `is on ${mount.type}: a unix socket connects processes of one machine only`;
    return [
      {
        level: 'warning',
        code: 'mount',
        about,
        message,
        cure: 'choose a local directory, such as one below /run',
      },
    ];
  }
  return [];
}

interface Mount {
  readonly point: string;
  readonly type: string;
  readonly options: readonly string[];
}

/** The file system that a directory is on; undefined if there is no /proc. */
function mountOf(directory: string): Mount | undefined {
  let text: string;
  try {
    text = readFileSync('/proc/self/mountinfo', 'utf8');
  } catch {
    return undefined;
  }
  const real = realpathSync(directory);
  const mounts = text.split('\n').flatMap((line): Mount[] => {
    const [, , , , point, options = '', ...rest] = line.split(' ');
    if (point === undefined) return [];
    const type = rest[rest.indexOf('-') + 1] ?? '';
    const name = point.replace(/\\(\d{3})/g, (_, octal: string) =>
      String.fromCharCode(Number.parseInt(octal, 8)),
    );
    return [{ point: name, type, options: options.split(',') }];
  });
  const above = mounts.filter(({ point }) => point === '/' || real === point || real.startsWith(`${point}/`));
  // The last of equal length hides those before it.
  return above.reduce<Mount | undefined>(
    (best, one) => (best && best.point.length > one.point.length ? best : one),
    undefined,
  );
}

async function writableDirectories(
  path: string,
  directories: readonly string[],
  visitor: Visitor,
): Promise<Finding[]> {
  const writable = directories.filter((directory) => (statSync(directory).mode & 0o022) !== 0);
  if (visitor.refusesWritableDirectories && writable.length > 0) {
    const message = `${visitor.mta} refuses sockets below ${writable.join(' and ')}, which the group or others can write to`;
    return [
      {
        level: 'error',
        code: 'directory-writable',
        about: path,
        message,
        cure: `chmod go-w ${writable.join(' ')}, or choose another directory`,
      },
    ];
  }
  const open = directories.filter((directory) => (statSync(directory).mode & 0o1002) === 0o002);
  if (open.length === 0) return [];
  const message = `every user can replace the socket, because ${open.join(' and ')} can be written to by all`;
  return [
    {
      level: 'warning',
      code: 'directory-writable',
      about: path,
      message,
      cure: `chmod o-w ${open.join(' ')}`,
    },
  ];
}

async function accessFinding(
  path: string,
  directories: readonly string[],
  { mta, user }: Visitor,
): Promise<Finding> {
  const about = path;
  const account = await findAccount(user);
  if (!account) {
    return {
      level: 'note',
      code: 'access',
      about,
      message: `${mta}'s user ${user} does not exist here; who may connect was not examined`,
    };
  }
  const obstacle = firstObstacle(account, path, directories);
  const tried = await canWrite(account, path);
  if (tried ?? obstacle === undefined) {
    const how = tried === null ? ', as far as the modes tell' : '';
    return { level: 'ok', code: 'access', about, message: `${mta} (user ${user}) may connect${how}` };
  }
  const { where, stats } = obstacle ?? { where: path, stats: statSync(path) };
  const mode = (stats.mode & 0o7777).toString(8).padStart(4, '0');
  const message = `${mta} (user ${user}) may not connect: ${where} has mode ${mode}, owner ${stats.uid}, group ${stats.gid}`;
  return {
    level: 'error',
    code: 'access',
    about,
    message,
    cure: `give ${where === path ? 'the socket the' : 'the directory the'} group of ${user}: ${accessCure(where === path, user, where)}`,
  };
}

const accessCure = (isSocket: boolean, user: string, where: string): string =>
  isSocket
    ? `run the filter with --group ${user} --mode 660`
    : `chgrp ${user} ${where} && chmod g+x ${where}`;

/** The first directory that an account may not search, or the socket if it may not write to it. */
function firstObstacle(
  account: Account,
  path: string,
  directories: readonly string[],
): { where: string; stats: Stats } | undefined {
  for (const where of [...directories, path]) {
    const stats = statSync(where);
    if (!hasRight(account, stats, where === path ? 2 : 1)) return { where, stats };
  }
  return undefined;
}
