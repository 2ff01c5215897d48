import * as fs from 'node:fs';
import * as os from 'node:os';

/**
 * Gives this machine a host name with a dot, by an alias in /etc/hosts, for where no namespace can be made to
 * have one in. Who is root and yet not allowed to unshare is in a container, so it is the container that is
 * changed; this is announced.
 *
 * @returns takes the alias away again, which the end of the process does otherwise
 */
export function nameHostWithDot(): () => void {
  const name = os.hostname();
  if (name.includes('.')) return () => {};
  const alias = `127.0.0.1 ${name}.localdomain ${name} # while process ${process.pid} runs Sendmail\n`;
  console.error(
    `Sendmail would wait a minute for a host name with a dot: '${alias.trim()}' is in /etc/hosts meanwhile`,
  );
  // Before all others, because the first line with the name wins.
  rewriteHosts((hosts) => alias + hosts);
  const undo = () => {
    process.off('exit', undo);
    rewriteHosts((hosts) => hosts.replace(alias, ''));
  };
  process.once('exit', undo);
  return undo;
}

/**
 * In place, because containers have the file as a mount, which cannot be replaced. Readers find the old text or the new
 * one, if it is shorter with lines of the old one behind it, but never a part.
 */
function rewriteHosts(edit: (hosts: string) => string): void {
  const text = edit(fs.readFileSync('/etc/hosts', 'utf8'));
  const file = fs.openSync('/etc/hosts', 'r+');
  fs.writeSync(file, text, 0);
  fs.ftruncateSync(file, Buffer.byteLength(text));
  fs.closeSync(file);
}
