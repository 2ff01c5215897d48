/** Starting Node as another user. */

/**
 * The options with which fork() starts a Node that is an ordinary user. Not with process.setuid in the child: Node refuses
 * that where it may use io_uring, as Debian's own does. The one right of root that is kept is to read, since a checkout
 * below /root is closed to others; the secure bit is for access(2), which forgets that right otherwise.
 */
export function asUser(uid: number, gid = uid): { execPath: string; execArgv: string[] } {
  const user = [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--securebits=+no_setuid_fixup'];
  const rights = ['--inh-caps=-all,+dac_read_search', '--ambient-caps=+dac_read_search'];
  return { execPath: 'setpriv', execArgv: [...user, ...rights, process.execPath] };
}
