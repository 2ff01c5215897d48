/** Errors of the system in plain words: Node names the system call, and does not say what to do. */

type SystemError = NodeJS.ErrnoException & { readonly address?: string; readonly port?: number };

type Words = Readonly<Record<string, string>>;

const FILE: Words = {
  EACCES:
    'this user has no permission; correct its mode or that of its directory, or run this as another user',
  EEXIST: 'it exists already',
  EISDIR: 'it is a directory',
  ELOOP: 'its symbolic links lead in a circle',
  ENAMETOOLONG: 'its name is too long',
  ENOENT: 'there is no such file or directory',
  ENOSPC: 'its file system is full',
  ENOTDIR: 'a part of its path is not a directory',
  EPERM: 'the system does not allow that to this user',
  EROFS: 'its file system is read-only',
};

const BY_SYSCALL: Readonly<Record<string, Words>> = {
  connect: {
    EACCES: 'this user may not connect; run this as the user of the MTA, or correct the mode of the socket',
    ECONNREFUSED: 'nothing listens there; start the filter, or correct the address',
    EHOSTUNREACH: 'the host cannot be reached',
    ENOENT: 'there is no such socket; start the filter, or correct the path',
    ETIMEDOUT: 'the host does not answer',
  },
  getaddrinfo: { ENOTFOUND: 'DNS does not know the host', EAI_AGAIN: 'DNS does not answer; try again later' },
  listen: {
    EACCES: 'this user may not listen there, or its directory does not exist',
    EADDRINUSE: 'it is in use; choose another, or remove the file if nothing listens on it any more',
    EADDRNOTAVAIL: 'this machine does not have that address',
  },
};

/** The message of an error; one of the system says what it is about, and what is wrong with that. */
export function plainMessage(error: Error): string {
  const {
    code = '',
    syscall = '',
    path,
    hostname,
    address,
    port = 0,
  } = error as SystemError & { hostname?: string };
  const host = address?.includes(':') ? `[${address}]` : address;
  const about = path ?? hostname ?? (host !== undefined && port > 0 ? `${host}:${port}` : host);
  const words = BY_SYSCALL[syscall]?.[code] ?? (path === undefined ? undefined : FILE[code]);
  return about === undefined || words === undefined ? error.message : `${about}: ${words}`;
}
