/** Contract 13: what is settled with the MTA, and what its handlers then see. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { REJECT, TEMPFAIL } from 'tsmilter';
import { Actions, Protocol } from 'tsmilter/testing';
import { until } from '../../tools/wait.js';
import { errorWith } from '../support/expect.js';
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

/** @contract 13 */
describe('negotiation', () => {
  let filter: FilterProcess;
  beforeAll(async () => {
    filter = await FilterProcess.start('scripted');
  });
  afterAll(() => filter?.stop());

  it('for a class that overrides nothing, all steps are negotiated away, and SKIP is kept', async () => {
    await filter.use({ handlers: {} });
    await using mta = await filter.session();
    expect(mta.negotiated.version).toBe(6);
    expect(mta.negotiated.actions).toBe(Actions.ALL);
    expect(mta.negotiated.protocol).toBe(ALL_NO | Protocol.SKIP);
    expect(mta.negotiated.symlists).toStrictEqual({});
    expect((await mta.message(ENVELOPE)).verdict).toStrictEqual('continue');
  });

  for (const handler of HANDLERS) {
    it(`${handler} only: all other steps are negotiated away, and replies that the client does not see`, async () => {
      await filter.use({ handlers: { [handler]: {} } });
      await using mta = await filter.session();
      const quiet = { header: Protocol.NR_HDR, eoh: Protocol.NR_EOH } as Partial<Record<Handler, number>>;
      expect(mta.negotiated.protocol).toBe(
        (ALL_NO & ~NO_BITS[handler]) | Protocol.SKIP | (quiet[handler] ?? 0),
      );
      await driveTo(mta, handler);
      if (handler !== 'unknown') await mta.eom();
      expect(await filter.eventsOf(handler)).toHaveLength(1);
    });
  }

  it('all handlers: no step is negotiated away', async () => {
    await filter.use({ handlers: Object.fromEntries(HANDLERS.map((handler) => [handler, {}])) });
    await using mta = await filter.session();
    expect(mta.negotiated.protocol & ALL_NO).toBe(0);
  });

  it('immediate: header and eoh are answered', async () => {
    await filter.use({ handlers: { header: {}, eoh: {}, body: {} }, statics: { immediate: true } });
    await using mta = await filter.session();
    expect(mta.negotiated.protocol & (Protocol.NR_HDR | Protocol.NR_EOH | Protocol.NR_BODY)).toBe(0);
    expect((await driveTo(mta, 'header')).verdict).toBe('continue');
    expect(await filter.eventsOf('header')).toStrictEqual([['header', 'Subject', 'test']]);
  });

  it('rejected recipients and leading spaces are off unless requested', async () => {
    await filter.use({ handlers: { envrcpt: {}, header: {} } });
    await using plain = await filter.session();
    expect(plain.negotiated.protocol & (Protocol.RCPT_REJ | Protocol.HDR_LEADSPC)).toBe(0);

    await filter.use({
      handlers: { envrcpt: {}, header: {}, eom: { call: [['addheader', 'X-A', ' spaced']] } },
      statics: { rejectedRecipients: true, headerLeadingSpace: true },
    });
    await using mta = await filter.greeted();
    const both = Protocol.RCPT_REJ | Protocol.HDR_LEADSPC;
    expect(mta.negotiated.protocol & both).toBe(both);
    const { modifications } = await mta.message({ ...ENVELOPE, headers: [['Subject', 'hello']] });
    expect(await filter.eventsOf('header')).toStrictEqual([['header', 'Subject', ' hello']]);
    expect(modifications).toStrictEqual([{ type: 'addheader', name: 'X-A', value: ' spaced' }]);
  });

  it('they stay off with an MTA that does not support them', async () => {
    await filter.use({
      handlers: { envrcpt: {}, header: {} },
      statics: { rejectedRecipients: true, headerLeadingSpace: true },
    });
    await using mta = await filter.session({
      protocol: Protocol.ALL & ~(Protocol.RCPT_REJ | Protocol.HDR_LEADSPC),
    });
    expect(mta.negotiated.protocol & (Protocol.RCPT_REJ | Protocol.HDR_LEADSPC)).toBe(0);
  });

  it('the handler gets the MTA’s offer unchanged', async () => {
    await filter.use({ handlers: { negotiate: {} } });
    await using all = await filter.session();
    expect(await filter.eventsOf('negotiate')).toStrictEqual([['negotiate', [0x1ff, 0x1fffff, 0, 0]]]);
    await using few = await filter.session({ actions: 0x11, protocol: 0x401 });
    // "No reply" is always on offer: where the MTA does not know it, libmilter replies in the filter's place.
    expect(await filter.eventsOf('negotiate')).toStrictEqual([['negotiate', [0x11, 0x401 | ALL_NR, 0, 0]]]);
    void [all, few];
  });

  it('the MTA gets the offer as the handler changes it', async () => {
    const chosen = Protocol.NOCONNECT | Protocol.NOHDRS | Protocol.NOEOH | Protocol.NOBODY | Protocol.NR_MAIL;
    await filter.use({
      handlers: { negotiate: {}, connect: {}, envfrom: {} },
      options: [Actions.ADDHDRS, chosen],
    });
    await using mta = await filter.session();
    expect(mta.negotiated.actions).toBe(Actions.ADDHDRS);
    expect(mta.negotiated.protocol).toBe(chosen);
    expect((await mta.connect('client.example')).verdict).toBe('skipped');
    expect((await mta.helo('client.example')).verdict).toBe('continue');
    expect((await mta.mail('<a@b.example>')).verdict).toBe('noreply');
    expect((await mta.rcpt('<c@d.example>')).verdict).toBe('continue');
    expect(await filter.eventsOf('connect', 'envfrom')).toStrictEqual([['envfrom', '<a@b.example>']]);
  });

  it('an async negotiate', async () => {
    await filter.use({ handlers: { negotiate: { wait: 5 }, envfrom: {} } });
    await using mta = await filter.session();
    expect(mta.negotiated.protocol).toBe((ALL_NO & ~NO_BITS.envfrom) | Protocol.SKIP);
  });

  for (const [how, act] of [
    ['throws', { throws: 'broken' }],
    ['rejects', { wait: 0, throws: 'broken' }],
    ['answers nothing', { answer: undefined }],
    ['answers a string', { answer: 'ALL_OPTS' }],
  ] as const) {
    it(`a negotiate that ${how}: reported, the whole offer is accepted, the session works`, async () => {
      await filter.use({ handlers: { negotiate: act, connect: {}, header: {}, eom: {} } });
      await using mta = await filter.session();
      expect((await filter.report()).step).toBe('negotiate');
      expect(mta.negotiated.actions).toBe(Actions.ALL);
      expect(mta.negotiated.protocol & ALL_NO).toBe(0);
      await mta.connect('client.example');
      await mta.helo('client.example');
      expect((await mta.message({ ...ENVELOPE, headers: [['Subject', 'x']], body: 'y' })).verdict).toBe(
        'continue',
      );
      const told = (await filter.events()).map(([name]) => name);
      expect(told).toStrictEqual(['new', 'negotiate', 'connect', 'header', 'eom']);
    });
  }

  for (const [what, options] of [
    ['no number, as a misspelt constant is', [Actions.ADDHDRS, undefined]],
    ['no number among the rights', [undefined, 0]],
    ['a big integer', [1n, 0]],
    ['a fraction', [1.5, 0]],
    ['a number of more than 32 bits', [0, 2 ** 32]],
    ['rights that are not on offer', [0x1000, 0]],
    ['protocol bits that are not on offer', [0, 0x1000000]],
  ] as const) {
    for (const how of [{}, { wait: 0 }, { wait: 0, throws: 'and fails too' }, { answer: 10 }]) {
      const title = Object.keys(how).join(', ') || 'at once';
      it(`a negotiate that chooses ${what} (${title}): the whole offer is accepted`, async () => {
        const handlers = { negotiate: how, connect: {}, eom: {} };
        await filter.use({ handlers, options: options as unknown as [number, number] });
        await using mta = await filter.greeted();
        expect(mta.negotiated.actions).toBe(Actions.ALL);
        expect(mta.negotiated.protocol & ALL_NO).toBe(0);
        expect((await mta.message(ENVELOPE)).verdict).toBe('continue');
        const reports = await filter.eventsOf('report');
        expect(reports.map(([, step]) => step)).toStrictEqual('answer' in how ? [] : ['negotiate']);
        if (!('answer' in how || 'throws' in how))
          expect(reports[0]).toMatchObject(['report', 'negotiate', { code: 'ERR_MILTER_BAD_ARGUMENT' }]);
      });
    }
  }

  it('bits that JavaScript’s operators make negative are taken', async () => {
    await filter.use({ handlers: { negotiate: {} }, options: [Actions.ADDHDRS, ALL_NO | (1 << 31)] });
    await using mta = await filter.session({ protocol: 0xffffffff });
    expect(await filter.eventsOf('report')).toStrictEqual([]);
    expect(mta.negotiated.protocol).toBe(ALL_NO + 2 ** 31);
  });

  it('steps that an old MTA cannot leave out may be left out all the same', async () => {
    await filter.use({
      handlers: { negotiate: {} },
      options: [Actions.ADDHDRS, Protocol.NODATA | Protocol.NOUNKNOWN],
    });
    await using mta = await filter.session({ protocol: Protocol.NOCONNECT });
    expect(await filter.eventsOf('report')).toStrictEqual([]);
    expect(mta.negotiated.protocol).toBe(0);
  });

  it('ALL_OPTS accepts the whole offer', async () => {
    await filter.use({ handlers: { negotiate: { answer: 10 }, eom: {} } });
    await using mta = await filter.greeted();
    expect(await filter.eventsOf('report')).toStrictEqual([]);
    expect(mta.negotiated.actions).toBe(Actions.ALL);
    expect(mta.negotiated.protocol & ALL_NO).toBe(0);
    expect((await mta.message(ENVELOPE)).verdict).toBe('continue');
  });

  for (const [name, answer] of [
    ['REJECT', REJECT],
    ['TEMPFAIL', TEMPFAIL],
  ] as const) {
    it(`${name} from negotiate refuses the session: the connection and the object are closed`, async () => {
      await filter.use({ handlers: { negotiate: { answer }, close: {} } });
      await expect(filter.session()).rejects.toThrow(errorWith({ code: 'ERR_MILTER_CLOSED' }));
      await filter.event('close');
    });
  }

  it('steps that an MTA cannot leave out are answered without calling JavaScript', async () => {
    await filter.use({ handlers: { envfrom: {} } });
    await using mta = await filter.session({ protocol: Protocol.SKIP });
    expect(mta.negotiated.protocol).toBe(Protocol.SKIP);
    expect((await driveTo(mta, 'eom')).verdict).toBe('continue');
    expect(await filter.events()).toStrictEqual([['new'], ['envfrom', '<alice@client.example>']]);
  });

  it('a handler that is a property of the object counts like a method', async () => {
    await using own = await FilterProcess.start('decorated');
    await own.use('ArrowFilter');
    await using mta = await own.session();
    expect(mta.negotiated.protocol & ALL_NO).toBe(ALL_NO & ~(NO_BITS.hello | NO_BITS.header));
    await mta.connect('client.example');
    expect((await mta.helo('refused.example')).verdict).toBe('reject');
    await mta.close();
    await own.stop();
  });

  // Where sessions are followed, the ends of messages are passed on also without a handler.
  for (const options of [{}, { metrics: 'inet:0@127.0.0.1' }]) {
    it(`properties that are no functions are no handlers, ${'metrics' in options ? 'with' : 'without'} metrics`, async () => {
      await using own = await FilterProcess.start('decorated', { options });
      for (const name of ['NotHandlers', 'NotHandlersOfAll']) {
        await own.use(name);
        await using mta = await own.greeted();
        expect((await mta.message(ENVELOPE)).verdict).toBe('continue');
        await mta.mail('<aborted@client.example>');
        await mta.abort();
        expect((await mta.message(ENVELOPE)).verdict).toBe('continue');
        await mta.quit();
      }
      await until('the sessions to have ended', async () => {
        const [made, ended] = await own.request<[number, number]>('diag');
        return made === ended;
      });
      expect((await own.events()).filter(([event]) => event !== 'envfrom')).toStrictEqual([]);
      await own.stop();
    });
  }

  it('a property in place of a method without reply is answered', async () => {
    await using own = await FilterProcess.start('decorated');
    await own.use('OwnInPlace');
    await using mta = await own.greeted();
    const { verdict } = await mta.message({ ...ENVELOPE, headers: [['Subject', 'x']] });
    expect(verdict).toBe('reject');
    expect(await own.eventsOf('report')).toStrictEqual([]);
    await mta.close();
    await own.stop();
  });
});
