import * as fs from 'node:fs';
import * as os from 'node:os';

/**
 * Gives this machine a host name with a dot, by an alias in /etc/hosts, for where no namespace can be made to
 * have one in. Who is root and yet not allowed to unshare is in a container, so it is the container that is
 * changed; this is announced.
 */
export function nameHostWithDot(): void {
  const name = os.hostname();
  if (name.includes('.')) return;
  const alias = `127.0.0.1 ${name}.localdomain ${name}`;
  const hosts = fs.readFileSync('/etc/hosts', 'utf8');
  if (hosts.split('\n').includes(alias)) return;
  console.error(`Sendmail would wait a minute for a host name with a dot: adding '${alias}' to /etc/hosts`);
  // Before all others, because the first line with the name wins. Written over the old text in one go and
  // without truncating it first: others who start at the same time read the one or the other, never a part.
  const file = fs.openSync('/etc/hosts', 'r+');
  fs.writeSync(file, `${alias}\n${hosts}`, 0);
  fs.closeSync(file);
}
