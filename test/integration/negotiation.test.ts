/** Contract 13: what is settled with the MTA, and what its handlers then see. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { REJECT, TEMPFAIL } from 'tsmilter';
import { Actions, Protocol } from 'tsmilter/testing';
import { ENVELOPE, FilterProcess } from '../support/filter-process.js';
import { driveTo } from './drive.js';

const NO_BITS = {
  connect: Protocol.NOCONNECT,
  hello: Protocol.NOHELO,
  envfrom: Protocol.NOMAIL,
  envrcpt: Protocol.NORCPT,
  data: Protocol.NODATA,
  header: Protocol.NOHDRS,
  eoh: Protocol.NOEOH,
  body: Protocol.NOBODY,
  unknown: Protocol.NOUNKNOWN,
} as const;
type Handler = keyof typeof NO_BITS;
const HANDLERS = Object.keys(NO_BITS) as Handler[];
const ALL_NR = 0xff080;
const ALL_NO = HANDLERS.reduce((bits, handler) => bits | NO_BITS[handler], 0);

describe('contract 13: negotiation', () => {
  let filter: FilterProcess;
  before(async () => {
    filter = await FilterProcess.start('scripted');
  });
  after(() => filter?.stop());

  it('a class that overrides nothing has everything left out, SKIP kept', async () => {
    await filter.use({ handlers: {} });
    await using mta = await filter.session();
    assert.equal(mta.negotiated.version, 6);
    assert.equal(mta.negotiated.actions, Actions.ALL);
    assert.equal(mta.negotiated.protocol, ALL_NO | Protocol.SKIP);
    assert.deepEqual(mta.negotiated.symlists, {});
    assert.deepEqual((await mta.message(ENVELOPE)).verdict, 'continue');
  });

  for (const handler of HANDLERS) {
    it(`${handler} alone: all others are left out, and no reply is awaited where nobody sees it`, async () => {
      await filter.use({ handlers: { [handler]: {} } });
      await using mta = await filter.session();
      const quiet = { header: Protocol.NR_HDR, eoh: Protocol.NR_EOH } as Partial<Record<Handler, number>>;
      assert.equal(
        mta.negotiated.protocol,
        (ALL_NO & ~NO_BITS[handler]) | Protocol.SKIP | (quiet[handler] ?? 0),
      );
      await driveTo(mta, handler);
      if (handler !== 'unknown') await mta.eom();
      assert.equal((await filter.eventsOf(handler)).length, 1);
    });
  }

  it('all handlers: nothing is left out', async () => {
    await filter.use({ handlers: Object.fromEntries(HANDLERS.map((handler) => [handler, {}])) });
    await using mta = await filter.session();
    assert.equal(mta.negotiated.protocol & ALL_NO, 0);
  });

  it('immediate: header and eoh are answered', async () => {
    await filter.use({ handlers: { header: {}, eoh: {}, body: {} }, statics: { immediate: true } });
    await using mta = await filter.session();
    assert.equal(mta.negotiated.protocol & (Protocol.NR_HDR | Protocol.NR_EOH | Protocol.NR_BODY), 0);
    assert.equal((await driveTo(mta, 'header')).verdict, 'continue');
    assert.deepEqual(await filter.eventsOf('header'), [['header', 'Subject', 'test']]);
  });

  it('rejected recipients and leading spaces: off unless asked for', async () => {
    await filter.use({ handlers: { envrcpt: {}, header: {} } });
    await using plain = await filter.session();
    assert.equal(plain.negotiated.protocol & (Protocol.RCPT_REJ | Protocol.HDR_LEADSPC), 0);

    await filter.use({
      handlers: { envrcpt: {}, header: {}, eom: { call: [['addheader', 'X-A', ' spaced']] } },
      statics: { rejectedRecipients: true, headerLeadingSpace: true },
    });
    await using mta = await filter.greeted();
    const both = Protocol.RCPT_REJ | Protocol.HDR_LEADSPC;
    assert.equal(mta.negotiated.protocol & both, both);
    const { modifications } = await mta.message({ ...ENVELOPE, headers: [['Subject', 'hello']] });
    assert.deepEqual(await filter.eventsOf('header'), [['header', 'Subject', ' hello']]);
    assert.deepEqual(modifications, [{ type: 'addheader', name: 'X-A', value: ' spaced' }]);
  });

  it('asked of an MTA that does not know them, they stay off', async () => {
    await filter.use({
      handlers: { envrcpt: {}, header: {} },
      statics: { rejectedRecipients: true, headerLeadingSpace: true },
    });
    await using mta = await filter.session({
      protocol: Protocol.ALL & ~(Protocol.RCPT_REJ | Protocol.HDR_LEADSPC),
    });
    assert.equal(mta.negotiated.protocol & (Protocol.RCPT_REJ | Protocol.HDR_LEADSPC), 0);
  });

  it('the handler gets the offer as it is', async () => {
    await filter.use({ handlers: { negotiate: {} } });
    await using all = await filter.session();
    assert.deepEqual(await filter.eventsOf('negotiate'), [['negotiate', [0x1ff, 0x1fffff, 0, 0]]]);
    await using few = await filter.session({ actions: 0x11, protocol: 0x401 });
    // "No reply" is always on offer: where the MTA does not know it, libmilter replies in the filter's place.
    assert.deepEqual(await filter.eventsOf('negotiate'), [['negotiate', [0x11, 0x401 | ALL_NR, 0, 0]]]);
    void [all, few];
  });

  it('what the handler makes of the offer is what the MTA is told', async () => {
    const chosen = Protocol.NOCONNECT | Protocol.NOHDRS | Protocol.NOEOH | Protocol.NOBODY | Protocol.NR_MAIL;
    await filter.use({
      handlers: { negotiate: {}, connect: {}, envfrom: {} },
      options: [Actions.ADDHDRS, chosen],
    });
    await using mta = await filter.session();
    assert.equal(mta.negotiated.actions, Actions.ADDHDRS);
    assert.equal(mta.negotiated.protocol, chosen);
    assert.equal((await mta.connect('client.example')).verdict, 'skipped');
    assert.equal((await mta.helo('client.example')).verdict, 'continue');
    assert.equal((await mta.mail('<a@b.example>')).verdict, 'noreply');
    assert.equal((await mta.rcpt('<c@d.example>')).verdict, 'continue');
    assert.deepEqual(await filter.eventsOf('connect', 'envfrom'), [['envfrom', '<a@b.example>']]);
  });

  it('an async negotiate', async () => {
    await filter.use({ handlers: { negotiate: { wait: 5 }, envfrom: {} } });
    await using mta = await filter.session();
    assert.equal(mta.negotiated.protocol, (ALL_NO & ~NO_BITS.envfrom) | Protocol.SKIP);
  });

  for (const [how, act] of [
    ['throws', { throws: 'broken' }],
    ['rejects', { wait: 0, throws: 'broken' }],
    ['answers nothing', { answer: undefined }],
    ['answers a string', { answer: 'ALL_OPTS' }],
  ] as const) {
    it(`a negotiate that ${how}: reported, the offer stays as it is, the session works`, async () => {
      await filter.use({ handlers: { negotiate: act, connect: {}, header: {}, eom: {} } });
      await using mta = await filter.session();
      assert.equal((await filter.report()).step, 'negotiate');
      assert.equal(mta.negotiated.actions, Actions.ALL);
      assert.equal(mta.negotiated.protocol & ALL_NO, 0);
      await mta.connect('client.example');
      await mta.helo('client.example');
      assert.equal(
        (await mta.message({ ...ENVELOPE, headers: [['Subject', 'x']], body: 'y' })).verdict,
        'continue',
      );
      const told = (await filter.events()).map(([name]) => name);
      assert.deepEqual(told, ['new', 'negotiate', 'connect', 'header', 'eom']);
    });
  }

  it('ALL_OPTS takes all that is offered, on purpose', async () => {
    await filter.use({ handlers: { negotiate: { answer: 10 }, eom: {} } });
    await using mta = await filter.greeted();
    assert.deepEqual(await filter.eventsOf('report'), []);
    assert.equal(mta.negotiated.actions, Actions.ALL);
    assert.equal(mta.negotiated.protocol & ALL_NO, 0);
    assert.equal((await mta.message(ENVELOPE)).verdict, 'continue');
  });

  for (const [name, answer] of [
    ['REJECT', REJECT],
    ['TEMPFAIL', TEMPFAIL],
  ] as const) {
    it(`${name} from negotiate refuses the session: the connection is closed, so is the object`, async () => {
      await filter.use({ handlers: { negotiate: { answer }, close: {} } });
      await assert.rejects(filter.session(), { code: 'ERR_MILTER_CLOSED' });
      await filter.event('close');
    });
  }

  it('steps are sent where an MTA cannot leave them out; nobody is bothered', async () => {
    await filter.use({ handlers: { envfrom: {} } });
    await using mta = await filter.session({ protocol: Protocol.SKIP });
    assert.equal(mta.negotiated.protocol, Protocol.SKIP);
    assert.equal((await driveTo(mta, 'eom')).verdict, 'continue');
    assert.deepEqual(await filter.events(), [['new'], ['envfrom', '<alice@client.example>']]);
  });

  it('a handler that is a property of the object counts like a method', async () => {
    await using own = await FilterProcess.start('decorated');
    await own.use('ArrowFilter');
    await using mta = await own.session();
    assert.equal(mta.negotiated.protocol & ALL_NO, ALL_NO & ~(NO_BITS.hello | NO_BITS.header));
    await mta.connect('client.example');
    assert.equal((await mta.helo('refused.example')).verdict, 'reject');
    await mta.close();
    await own.stop();
  });
});
