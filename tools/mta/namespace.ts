import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { SyslogReceiver } from './syslog';
import { fillTemplate } from './template';

/** How to start a program, and what it writes to syslog. */
export interface Launch {
  readonly command: string;
  readonly args: readonly string[];
  /** False if namespaces are forbidden: the program sees the machine as it is, and its syslog is not received. */
  readonly isolated: boolean;
  syslog(): string;
  /** Called once, after the program's end. */
  release(): void;
}

/** Prepares a program to run in mount and UTS namespaces of its own: with a host name, a hosts file and a /dev/log. */
export async function isolate(dir: string, host: string, command: string, args: string[]): Promise<Launch> {
  if (!mayUnshare()) return { command, args, isolated: false, syslog: () => '', release: () => {} };
  fs.writeFileSync(path.join(dir, 'hosts'), `127.0.0.1 localhost ${host}\n::1 localhost\n`);
  const databases = ['passwd', 'group', 'hosts', 'services', 'protocols'];
  fs.writeFileSync(path.join(dir, 'nsswitch.conf'), databases.map((name) => `${name}: files\n`).join(''));
  const script = path.join(dir, 'namespace.sh');
  fs.writeFileSync(script, fillTemplate('namespace.sh', { DIR: dir, HOST: host }));
  fs.mkdirSync(path.join(dir, 'dev'));
  const receiver = await SyslogReceiver.listen(path.join(dir, 'dev/log'));
  return {
    command: 'unshare',
    args: ['--mount', '--uts', '/bin/sh', script, command, ...args],
    isolated: true,
    syslog: () => receiver.text,
    release: () => receiver.close(),
  };
}

let allowed: boolean | undefined;

/** Whether this process may make such namespaces. Containers often forbid it, even to root. */
function mayUnshare(): boolean {
  // tries everything that is done inside, because each may be forbidden by itself
  const trial = 'hostname host.test && mount --bind /etc/hosts /etc/hosts';
  allowed ??= spawnSync('unshare', ['--mount', '--uts', '/bin/sh', '-c', trial]).status === 0;
  return allowed;
}
