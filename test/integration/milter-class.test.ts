/** Contract 18, 19: the class Milter logs each step; six of its callbacks are without reply. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type MtaSession, Protocol } from 'tsmilter/testing';
import { ENVELOPE, FilterProcess } from '../support/filter-process.js';

describe('contract 19: the class Milter', () => {
  let filter: FilterProcess;
  before(async () => {
    filter = await FilterProcess.start('logging');
  });
  after(() => filter?.stop());

  async function wholeSession(mta: MtaSession): Promise<void> {
    await mta.connect('client.example', { family: 'inet6', address: '2001:db8::1', port: 25 });
    await mta.helo('client.example');
    await mta.mail('<alice@client.example>', 'SIZE=10');
    await mta.rcpt('<bob@example.com>', 'NOTIFY=NEVER');
    await mta.data();
    await mta.header('Subject', 'lunch');
    await mta.eoh();
    await mta.body('x');
    assert.equal((await mta.eom()).verdict, 'continue');
    await mta.mail('<again@client.example>');
    await mta.abort();
    await mta.quit();
  }

  it('six callbacks are without reply, data, body and unknown are not wanted', async () => {
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
    assert.equal(protocol, silent | left | Protocol.SKIP);
    assert.equal((await mta.connect('client.example')).verdict, 'noreply');
    assert.equal((await mta.message(ENVELOPE)).verdict, 'continue');
  });

  it('each step is logged', async () => {
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
    assert.equal(lines.length, expected.length, lines.join('\n'));
    for (const [i, pattern] of expected.entries()) assert.match(lines[i] as string, pattern);
  });

  it('by default on stdout, with the number of the object', async () => {
    await using own = await FilterProcess.start('logging');
    await own.use('Milter');
    await using mta = await own.session();
    await wholeSession(mta);
    await own.stop();
    assert.match(own.stdout, /^\[\d+\] connect from client\.example at /m);
    assert.match(own.stdout, /^\[\d+\] Subject: lunch$/m);
    assert.match(own.stdout, /^\[\d+\] close$/m);
    assert.equal(own.stdout.trim().split('\n').length, 10);
  });

  it('contract 18: each object has a number of its own, counting up by one', async () => {
    await filter.use('Telling');
    const first = await filter.request<number>('uniqueID');
    for (let i = 0; i < 3; i++) {
      await using mta = await filter.greeted();
      await mta.message(ENVELOPE);
    }
    const ids = new Set((await filter.eventsOf('log')).map(([, id]) => id));
    assert.deepEqual([...ids], [first + 1, first + 2, first + 3]);
    assert.equal(await filter.request('uniqueID'), first + 4);
  });

  it('a method that is overridden without a mark is answered again', async () => {
    await filter.use('Refusing');
    await using mta = await filter.session();
    assert.equal(mta.negotiated.protocol & Protocol.NR_MAIL, 0);
    await mta.connect('client.example');
    await mta.helo('x');
    assert.equal((await mta.mail('<a@b.example>')).verdict, 'reject');
  });
});
