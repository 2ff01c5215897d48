/** Contract 11: handlers without reply are collected with what follows them; see docs/delivery.md. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ACCEPT } from 'tsmilter';
import type { MtaSession } from 'tsmilter/testing';
import type { ToldError } from '../fixtures/serve.js';
import { FilterProcess } from '../support/filter-process.js';

const SILENT = ['connect', 'hello', 'envfrom', 'envrcpt', 'data', 'unknown'];
const quiet = Object.fromEntries([...SILENT, 'header', 'eoh', 'body', 'eom'].map((name) => [name, {}]));

async function envelope(mta: MtaSession): Promise<void> {
  await mta.connect('client.example');
  await mta.helo('client.example');
  await mta.mail('<a@b.example>');
  await mta.rcpt('<c@d.example>');
  await mta.rcpt('<e@f.example>');
}

describe('handlers without reply', () => {
  let filter: FilterProcess;
  beforeAll(async () => {
    filter = await FilterProcess.start('scripted');
  });
  afterAll(() => filter?.stop());

  const namesOf = async () => (await filter.events()).map(([name]) => name);

  /** @contract 11 */
  it('run in the order of their steps, each with its macros', async () => {
    const look = { call: [['getsymval', '{rcpt_addr}'] as const] };
    await filter.use({
      handlers: { ...quiet, envfrom: look, envrcpt: look, data: look, eom: look },
      statics: { noreply: SILENT },
    });
    await using mta = await filter.session();
    await mta.connect('client.example');
    await mta.helo('client.example');
    await mta.mail('<a@b.example>');
    for (const address of ['c@d.example', 'e@f.example']) {
      mta.macros('rcpt', { '{rcpt_addr}': address });
      await mta.rcpt(`<${address}>`);
    }
    await mta.data();
    await mta.eoh();
    expect((await mta.eom()).verdict).toBe('continue');
    const events = (await filter.events()).filter(([name]) => name !== 'new');
    expect(events.map(([name, , value]) => (name === 'result' ? value : name))).toStrictEqual([
      ...['connect', 'hello', 'envfrom', null],
      ...[
        'envrcpt',
        'c@d.example',
        'envrcpt',
        'e@f.example',
        'data',
        'e@f.example',
        'eoh',
        'eom',
        'e@f.example',
      ],
    ]);
  });

  it('that fail decide on the message at its end, with the reply of the exception policy', async () => {
    for (const failing of ['envfrom', 'envrcpt', 'data']) {
      await filter.use({ handlers: { ...quiet, [failing]: { throws: 'no' } }, statics: { noreply: SILENT } });
      await using mta = await filter.session();
      await envelope(mta);
      expect((await mta.data()).verdict).toBe('noreply');
      await mta.eoh();
      const { verdict, reply } = await mta.eom();
      expect([failing, verdict, reply?.code]).toStrictEqual([failing, 'tempfail', '451']);
    }
  });

  it('that fail before a step with a reply do not answer for it', async () => {
    await filter.use({
      handlers: { ...quiet, envfrom: { throws: 'no' } },
      statics: { noreply: ['envfrom'] },
    });
    await using mta = await filter.session();
    await mta.connect('client.example');
    await mta.helo('client.example');
    expect((await mta.mail('<a@b.example>')).verdict).toBe('noreply');
    expect((await mta.rcpt('<c@d.example>')).verdict).toBe('continue');
    expect((await mta.data()).verdict).toBe('continue');
    await mta.eoh();
    expect((await mta.eom()).verdict).toBe('tempfail');
  });

  it('that fail in connect or hello leave the message alone', async () => {
    await filter.use({
      handlers: { ...quiet, connect: { throws: 'no' }, hello: { throws: 'no' }, eom: { answer: ACCEPT } },
      statics: { noreply: SILENT },
    });
    await using mta = await filter.session();
    await envelope(mta);
    expect((await mta.eom()).verdict).toBe('accept');
    expect((await namesOf()).filter((name) => name === 'report').length).toBe(2);
  });

  it('that nothing follows run before close, with their macros', async () => {
    const look = { call: [['getsymval', 'j'] as const] };
    await filter.use({
      handlers: { ...quiet, connect: look, close: {} },
      statics: { noreply: SILENT },
    });
    const mta = await filter.session();
    mta.macros('connect', { j: 'mta.example' });
    await mta.connect('client.example');
    await mta.helo('client.example');
    await mta.quit();
    await filter.event('close'); // taken out of the events
    const found = (await filter.events())
      .filter(([name]) => name !== 'new')
      .map(([name, , value]) => (name === 'result' ? value : name));
    expect(found).toStrictEqual(['connect', 'mta.example', 'hello']);
  });

  it('that ask for a macro nobody has heard of get an error rather than the value of a later step', async () => {
    const look = { call: [['getsymval', '{odd}'] as const] };
    const ask = async (macros: { readonly mail?: string; readonly rcpt?: string }) => {
      await using mta = await filter.session();
      await mta.connect('client.example');
      await mta.helo('client.example');
      if (macros.mail) mta.macros('mail', { '{odd}': macros.mail });
      await mta.mail('<a@b.example>');
      if (macros.rcpt) mta.macros('rcpt', { '{odd}': macros.rcpt });
      await mta.rcpt('<c@d.example>');
      return (await mta.eom()).verdict;
    };
    await filter.use({ handlers: { ...quiet, envfrom: look }, statics: { noreply: SILENT } });
    expect(await ask({ rcpt: 'two' })).toBe('continue');
    expect(
      (await filter.events())
        .filter(([name]) => name === 'error')
        .map(([, , error]) => (error as ToldError).code),
    ).toStrictEqual(['ERR_MILTER_MACRO_NOT_KEPT']);
    // The class's next session keeps it.
    expect(await ask({ mail: 'one', rcpt: 'two' })).toBe('continue');
    expect(
      (await filter.events()).filter(([name]) => name === 'result').map(([, , value]) => value),
    ).toStrictEqual(['one']);
  });
});
