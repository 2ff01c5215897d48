/** Contract 18, 19: the class Milter logs each step; six of its callbacks are without reply. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type MtaSession, Protocol } from 'tsmilter/testing';
import { ENVELOPE, FilterProcess } from '../support/filter-process.js';

/** @contract 19 */
describe('the class Milter', () => {
  let filter: FilterProcess;
  beforeAll(async () => {
    filter = await FilterProcess.start('logging');
  });
  afterAll(() => filter?.stop());

  async function wholeSession(mta: MtaSession): Promise<void> {
    await mta.connect('client.example', { family: 'inet6', address: '2001:db8::1', port: 25 });
    await mta.helo('client.example');
    await mta.mail('<alice@client.example>', 'SIZE=10');
    await mta.rcpt('<bob@example.com>', 'NOTIFY=NEVER');
    await mta.data();
    await mta.header('Subject', 'lunch');
    await mta.eoh();
    await mta.body('x');
    expect((await mta.eom()).verdict).toBe('continue');
    await mta.mail('<again@client.example>');
    await mta.abort();
    await mta.quit();
  }

  it('negotiates no reply for six callbacks, and not to get data, body and unknown', async () => {
    await filter.use('Telling');
    await using mta = await filter.session();
    const { protocol } = mta.negotiated;
    const silent =
      Protocol.NR_CONN |
      Protocol.NR_HELO |
      Protocol.NR_MAIL |
      Protocol.NR_RCPT |
      Protocol.NR_HDR |
      Protocol.NR_EOH;
    const left = Protocol.NODATA | Protocol.NOBODY | Protocol.NOUNKNOWN;
    expect(protocol).toBe(silent | left | Protocol.SKIP);
    expect((await mta.connect('client.example')).verdict).toBe('noreply');
    expect((await mta.message(ENVELOPE)).verdict).toBe('continue');
  });

  it('logs each step', async () => {
    await filter.use('Telling');
    await using mta = await filter.session();
    await wholeSession(mta);
    let lines: string[] = [];
    while (!lines.at(-1)?.startsWith('close')) {
      const [, , ...message] = await filter.event('log');
      lines = [...lines, message.map(String).join(' ')];
    }
    const expected = [
      /^connect from client\.example at .*2001:db8::1/,
      /^hello from client\.example$/,
      /^mail from <alice@client\.example> SIZE=10$/,
      /^rcpt to <bob@example\.com> NOTIFY=NEVER$/,
      /^Subject: lunch$/,
      /^eoh$/,
      /^eom$/,
      /^mail from <again@client\.example>$/,
      /^abort$/,
      /^close$/,
    ];
    expect(lines).toHaveLength(expected.length);
    for (const [i, pattern] of expected.entries()) expect(lines[i] as string).toMatch(pattern);
  });

  it('logs to stdout by default, with the number of the object', async () => {
    await using own = await FilterProcess.start('logging');
    await own.use('Milter');
    await using mta = await own.session();
    await wholeSession(mta);
    await own.stop();
    expect(own.stdout).toMatch(/^\[\d+\] connect from client\.example at /m);
    expect(own.stdout).toMatch(/^\[\d+\] Subject: lunch$/m);
    expect(own.stdout).toMatch(/^\[\d+\] close$/m);
    expect(own.stdout.trim().split('\n')).toHaveLength(10);
  });

  /** @contract 18 */
  it('numbers the objects consecutively', async () => {
    await filter.use('Telling');
    const first = await filter.request<number>('uniqueID');
    for (let i = 0; i < 3; i++) {
      await using mta = await filter.greeted();
      await mta.message(ENVELOPE);
    }
    const ids = new Set((await filter.eventsOf('log')).map(([, id]) => id));
    expect([...ids]).toStrictEqual([first + 1, first + 2, first + 3]);
    expect(await filter.request('uniqueID')).toBe(first + 4);
  });

  it('an overridden method without @noreply gets its reply back', async () => {
    await filter.use('Refusing');
    await using mta = await filter.session();
    expect(mta.negotiated.protocol & Protocol.NR_MAIL).toBe(0);
    await mta.connect('client.example');
    await mta.helo('x');
    expect((await mta.mail('<a@b.example>')).verdict).toBe('reject');
  });
});
