/** The sockets that systemd has opened for this process: sd_listen_fds_with_names(3). */
import { noSuchSocket } from './start-errors.js';

/** The first of their descriptors. */
const FIRST = 3;

/** What this process has inherited; nothing if the variables are those of a parent. */
function inheritedNames(): readonly string[] {
  const { LISTEN_PID: pid, LISTEN_FDS: count = '', LISTEN_FDNAMES: names } = process.env;
  if (pid !== String(process.pid) || !/^\d{1,4}$/.test(count)) return [];
  const given = names?.split(':') ?? [];
  // `unknown` is what systemd's library makes of a missing name.
  return Array.from({ length: Number(count) }, (_, index) => given[index] ?? 'unknown');
}

/**
 * `fd:NAME` as `fd:N`, where NAME is FileDescriptorName= of the socket unit, by default the unit's own name; any other socket as it is.
 * @throws MilterError EBADF for a name that there is not, or that several sockets have
 */
export function resolveActivatedSocket(spec: string): string {
  const [, name] = /^fd:([a-z].*)$/i.exec(spec) ?? [];
  if (name === undefined) return spec;
  const names = inheritedNames();
  const index = names.indexOf(name);
  if (index < 0 || index !== names.lastIndexOf(name)) throw noSuchSocket(spec, names);
  return `fd:${FIRST + index}`;
}
