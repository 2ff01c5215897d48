/** A session with one message, spoken command by command, and what is said to each. */
import { expect } from '@jest/globals';
import type { Reply, SmtpClient } from '../../../tools/mta';
import { TIMEOUT } from '../../../tools/wait';
import type { Act, Acts } from '../../fixtures/script';
import { stages } from './default-replies';
import { compose, type Kind, type MtaFixture, nextId } from './mta-fixture';

/** The reply to each step; `.` is the end of the message. */
export type Said = Partial<Record<'greeting' | 'EHLO' | 'MAIL' | 'RCPT' | 'DATA' | '.', string>>;

/** A reply as it came, line ends as `|`. */
export function heard({ raw }: Reply): string {
  return raw.toString('utf8').replace(/\r\n$/, '').replaceAll('\r\n', '|');
}

/** A message, each command of it said even if the one before was refused. */
export async function converse(client: SmtpClient, id: string): Promise<Said> {
  const said: Said = {};
  said.MAIL = heard(await client.command('MAIL FROM:<from@src.test>'));
  said.RCPT = heard(await client.command('RCPT TO:<rcpt@dest.test>'));
  const go = await client.command('DATA');
  said.DATA = heard(go);
  if (go.code === 354) said['.'] = heard(await client.content(compose(id, [], 'a line\r\n')));
  return said;
}

/** Every handler continues, and one does something else. */
export function filterWith(handler: string, act: Act | readonly Act[]): Acts {
  return { ...Object.fromEntries([...stages, 'abort', 'close'].map((name) => [name, {}])), [handler]: act };
}

/** A session with such a message and these handlers; `calls` names those that were called, in order. */
export async function session(
  mtas: MtaFixture,
  kind: Kind,
  handlers: Acts,
): Promise<{ id: string; said: Said; calls: string[] }> {
  const filter = mtas.filter();
  await filter.use({ handlers });
  using client = await mtas.open(kind);
  const id = nextId();
  const said: Said = {
    greeting: heard(client.greeting),
    EHLO: heard(await client.command('EHLO client.test')),
    ...(await converse(client, id)),
  };
  await client.quit();
  await filter.event('close', TIMEOUT);
  const events = await filter.events();
  const wrong = events.filter(([name]) => name === 'error' || name === 'report');
  expect(wrong).toStrictEqual([]);
  return { id, said, calls: events.map(([name]) => name).filter((name) => name !== 'result') };
}
