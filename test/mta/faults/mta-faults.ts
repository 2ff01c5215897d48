/** Faults of the MTA: a process of it is killed, or stops reading, while a handler works. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { expect } from '@jest/globals';
import { stages } from '../support/default-replies';
import { compose, type Kind, nextId } from '../support/mta-fixture';
import type { FaultLab } from './lab';

/** Steps after the message has been handed to Postfix's cleanup, which then talks to the filter. */
const CONTENT: readonly string[] = ['header', 'eoh', 'body', 'eom'];

/** The processes below `pid` with that name. */
function descendants(pid: number, name: string): number[] {
  const parents = new Map<number, { parent: number; name: string }>();
  for (const entry of fs.readdirSync('/proc').filter((one) => /^\d+$/.test(one))) {
    try {
      const [, own = '', parent = ''] =
        /^\d+ \((.*)\) \S (\d+)/.exec(fs.readFileSync(`/proc/${entry}/stat`, 'utf8')) ?? [];
      parents.set(Number(entry), { parent: Number(parent), name: own });
    } catch {
      // It has ended meanwhile.
    }
  }
  const isBelow = (one: number): boolean => {
    const parent = parents.get(one)?.parent;
    return parent !== undefined && (parent === pid || isBelow(parent));
  };
  return [...parents.keys()].filter((one) => parents.get(one)?.name.startsWith(name) && isBelow(one));
}

/** The MTA's processes that talk to the filter in a step. */
function talkers(lab: FaultLab, kind: Kind, step: string): number[] {
  const { pid } = lab.mtas.mta(kind);
  const names =
    kind === 'sendmail' ? ['sendmail'] : CONTENT.includes(step) ? ['smtpd', 'cleanup'] : ['smtpd'];
  return names.flatMap((name) => descendants(pid, name));
}

/** Sends a signal to each process; one that has ended by itself, as the delivery of the message before does, needs none. */
function signal(pids: readonly number[], name: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, name);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}

/** Removes what a killed process of Postfix leaves unfinished in its queue, which is never delivered, as postsuper -p would. */
function purge(queueDir: string): void {
  for (const name of fs.readdirSync(path.join(queueDir, 'incoming'))) {
    const file = path.join(queueDir, 'incoming', name);
    if ((fs.statSync(file).mode & 0o100) === 0) fs.rmSync(file);
  }
}

export const hangUpSteps = stages;

/** The MTA is killed in a step: the client is told of no success, nothing is delivered, and the filter's object ends. */
export async function hangsUp(lab: FaultLab, kind: Kind, step: string): Promise<void> {
  await lab.useFilter({});
  lab.atStep('hold', step);
  const id = nextId();
  const sending = lab.mtas
    .open(kind)
    .then(async (client) => {
      const { last } = await client.send({
        from: 'from@src.test',
        to: 'rcpt@dest.test',
        data: compose(id, [], 'a line\r\n'),
      });
      client.destroy();
      return last.code;
    })
    .catch(() => 'cut off' as const);
  await lab.filter.event('held');
  signal(talkers(lab, kind, step), 'SIGKILL');
  expect(await sending).toBe('cut off');
  await lab.filter.request('mend');
  await lab.filter.event('closed');
  if (kind === 'postfix') purge(lab.mtas.mta(kind).queueDir);
  expect(await lab.mtas.wasDelivered(kind, id)).toBe(false);
  await lab.expectOutcome(kind, 'delivered');
}

/** The MTA reads nothing of a large change for a while: other sessions go on, and the message is delivered whole afterwards. */
export async function stopsReading(lab: FaultLab, kind: Kind): Promise<void> {
  await lab.useFilter({});
  const other = kind === 'sendmail' ? 'postfix' : 'sendmail';
  lab.atStep('replace', 'eom');
  const client = await lab.mtas.open(kind);
  const id = nextId();
  await client.command('EHLO client.test');
  for (const command of ['MAIL FROM:<from@src.test>', 'RCPT TO:<rcpt@dest.test>', 'DATA'])
    await client.command(command);
  const frozen = talkers(lab, kind, 'eom');
  const reply = client.content(compose(id, [], 'a line\r\n'));
  await lab.filter.event('replaces');
  signal(frozen, 'SIGSTOP');
  try {
    await lab.filter.request('mend');
    await lab.expectOutcome(other, 'delivered');
  } finally {
    signal(frozen, 'SIGCONT');
  }
  expect((await reply).code).toBe(250);
  client.destroy();
  const { raw } = await lab.mtas.delivered(id);
  expect(raw.length).toBeGreaterThan(16 << 20);
}
