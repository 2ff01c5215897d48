import * as fs from 'node:fs';
import * as os from 'node:os';

/**
 * Gives this machine a host name with a dot, by an alias in /etc/hosts, for use where namespaces are forbidden. A root user
 * who may not call unshare(2) is in a container, so that only the container is changed; a message says so.
 *
 * @returns removes the alias again; otherwise the end of the process does
 */
export function nameHostWithDot(): () => void {
  const name = os.hostname();
  if (name.includes('.')) return () => {};
  const alias = `127.0.0.1 ${name}.localdomain ${name} # while process ${process.pid} runs Sendmail\n`;
  console.error(
    `Sendmail would wait a minute for a host name with a dot: '${alias.trim()}' is in /etc/hosts meanwhile`,
  );
  // Before all others, because the first line with the name counts.
  rewriteHosts((hosts) => alias + hosts);
  const undo = () => {
    process.off('exit', undo);
    rewriteHosts((hosts) => hosts.replace(alias, ''));
  };
  process.once('exit', undo);
  return undo;
}

/**
 * Writes in place, because in containers the file is a mount and cannot be replaced. Readers see the old text or the new one,
 * which lines of the old one may follow for a moment, but never a part.
 */
function rewriteHosts(edit: (hosts: string) => string): void {
  const text = edit(fs.readFileSync('/etc/hosts', 'utf8'));
  const file = fs.openSync('/etc/hosts', 'r+');
  fs.writeSync(file, text, 0);
  fs.ftruncateSync(file, Buffer.byteLength(text));
  fs.closeSync(file);
}
