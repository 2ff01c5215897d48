/** Contract 16: macros that the filter asks for, as they reach the MTA; and macros as handlers see them. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { M_CONNECT, M_DATA, M_ENVFROM, M_ENVRCPT, M_EOH, M_EOM, M_HELO } from 'tsmilter';
import { Actions, type MacrosByStep } from 'tsmilter/testing';
import type { ToldError } from '../fixtures/serve.js';
import { ENVELOPE, FilterProcess } from '../support/filter-process.js';
import { ANSWERED_HANDLERS } from '../support/handlers.js';

type Call = readonly ['setsymlist', ...args: unknown[]];

const STAGES = [
  ['connect', 'connect', M_CONNECT],
  ['hello', 'helo', M_HELO],
  ['envfrom', 'mail', M_ENVFROM],
  ['envrcpt', 'rcpt', M_ENVRCPT],
  ['data', 'data', M_DATA],
  ['eom', 'eom', M_EOM],
  ['eoh', 'eoh', M_EOH],
] as const;

/** @contract 16 */
describe('symbol lists', () => {
  let filter: FilterProcess;
  beforeAll(async () => {
    filter = await FilterProcess.start('scripted');
  });
  afterAll(() => filter?.stop());

  const errors = async () =>
    (await filter.eventsOf('error')).map(([, , error]) => (error as ToldError).code as string);

  it('setsymlist in negotiate: each of the seven stages on the wire', async () => {
    for (const [, stage, number] of STAGES) {
      await filter.use({ handlers: { negotiate: { call: [['setsymlist', number, 'i', '{auth_authen}']] } } });
      await using mta = await filter.session();
      expect(await errors()).toStrictEqual([]);
      expect(mta.negotiated.symlists).toStrictEqual({ [stage]: ['i', '{auth_authen}'] });
    }
  });

  it('@symlist on the handlers, all seven stages', async () => {
    const symlist = Object.fromEntries(STAGES.map(([handler, stage]) => [handler, ['j', `{of_${stage}}`]]));
    await filter.use({
      handlers: Object.fromEntries(STAGES.map(([handler]) => [handler, {}])),
      statics: { symlist },
    });
    await using mta = await filter.session();
    expect(mta.negotiated.symlists).toStrictEqual(
      Object.fromEntries(STAGES.map(([, stage]) => [stage, ['j', `{of_${stage}}`]])),
    );
  });

  it('five macros, as separate strings or one string; no macro at all', async () => {
    for (const macros of [['a', 'b', 'c', 'd', 'e'], ['a b c d e'], ['a b', '  c  ', 'd\te']]) {
      await filter.use({ handlers: { negotiate: { call: [['setsymlist', M_ENVFROM, ...macros]] } } });
      await using mta = await filter.session();
      expect(mta.negotiated.symlists).toStrictEqual({ mail: ['a', 'b', 'c', 'd', 'e'] });
    }
  });

  it('six macros are an error, and no list is sent', async () => {
    for (const macros of [['a', 'b', 'c', 'd', 'e', 'f'], ['a b c d e f']]) {
      await filter.use({ handlers: { negotiate: { call: [['setsymlist', M_ENVFROM, ...macros]] } } });
      await using mta = await filter.session();
      expect(await errors()).toStrictEqual(['ERR_MILTER_BAD_SYMLIST']);
      expect(mta.negotiated.symlists).toStrictEqual({});
    }
  });

  it('a second list for a stage is an error; the first one is kept, other stages are not affected', async () => {
    const call: Call[] = [
      ['setsymlist', M_ENVFROM, 'i'],
      ['setsymlist', M_ENVFROM, 'j'],
      ['setsymlist', M_EOM, 'j'],
    ];
    await filter.use({ handlers: { negotiate: { call } } });
    await using mta = await filter.session();
    expect(await errors()).toStrictEqual(['ERR_MILTER_BAD_SYMLIST']);
    expect(mta.negotiated.symlists).toStrictEqual({ mail: ['i'], eom: ['j'] });
  });

  it('a list that was refused can be set again', async () => {
    const call: Call[] = [
      ['setsymlist', M_ENVFROM, 'a b c d e f'],
      ['setsymlist', M_ENVFROM, 'i'],
    ];
    await filter.use({ handlers: { negotiate: { call } } });
    await using mta = await filter.session();
    expect(mta.negotiated.symlists).toStrictEqual({ mail: ['i'] });
  });

  it('in every other handler it is an error', async () => {
    const act = { call: [['setsymlist', M_EOM, 'i']] as Call[] };
    await filter.use({ handlers: Object.fromEntries(ANSWERED_HANDLERS.map((handler) => [handler, act])) });
    await using mta = await filter.greeted();
    await mta.unknown('XYZZY');
    await mta.message({ ...ENVELOPE, headers: [['Subject', 'x']], body: 'x' });
    expect(await errors()).toStrictEqual(ANSWERED_HANDLERS.map(() => 'ERR_MILTER_BAD_SYMLIST'));
  });

  it('invalid stages and macros are errors', async () => {
    const call: Call[] = [
      ['setsymlist', 7, 'i'],
      ['setsymlist', -1, 'i'],
      ['setsymlist', 'mail', 'i'],
      ['setsymlist', M_EOM, 7],
      ['setsymlist', M_EOM, 'a\0b'],
      ['setsymlist', M_EOM, null],
    ];
    await filter.use({ handlers: { negotiate: { call } } });
    await using mta = await filter.session();
    expect(await errors()).toStrictEqual(call.map(() => 'ERR_MILTER_BAD_ARGUMENT'));
    expect(mta.negotiated.symlists).toStrictEqual({});
  });

  it('with an MTA that lacks symbol lists, @symlist is ignored and the session works', async () => {
    await filter.use({ handlers: { envfrom: {} }, statics: { symlist: { envfrom: ['i'] } } });
    await using mta = await filter.greeted({ actions: Actions.ALL & ~Actions.SETSYMLIST });
    expect(mta.negotiated.symlists).toStrictEqual({});
    expect((await mta.message(ENVELOPE)).verdict).toBe('continue');
    expect(await filter.eventsOf('report')).toStrictEqual([]);
  });

  it('lists are sent in every session', async () => {
    await filter.use({ handlers: { envfrom: {} }, statics: { symlist: { envfrom: ['i', 'j'] } } });
    for (let i = 0; i < 3; i++) {
      await using mta = await filter.session();
      expect(mta.negotiated.symlists).toStrictEqual({ mail: ['i', 'j'] });
    }
  });
});

describe('macros', () => {
  let filter: FilterProcess;
  beforeAll(async () => {
    filter = await FilterProcess.start('scripted');
  });
  afterAll(() => filter?.stop());

  const macros: MacrosByStep = {
    connect: { j: 'mx.example', daemon_name: 'MTA' },
    helo: { tls_version: 'TLSv1.3' },
    mail: { i: 'Q1', mail_addr: 'a@b.example' },
    rcpt: { rcpt_addr: 'c@d.example' },
    data: { i: 'Q2' },
    eom: { msg_id: '<1@b.example>', odd: Buffer.from('caf\xe9', 'latin1') },
  };
  const ask = (...names: string[]) => ({ call: names.map((name) => ['getsymval', name] as const) });
  const values = async () => (await filter.eventsOf('result')).map(([, , value]) => value);

  it('a macro is visible from its step on; that of the latest stage counts', async () => {
    const all = ask('j', '{daemon_name}', '{tls_version}', 'i', '{mail_addr}', '{rcpt_addr}');
    await filter.use({ handlers: { connect: all, hello: all, envfrom: all, envrcpt: all, data: all } });
    await using mta = await filter.session({ macros });
    await mta.connect('client.example');
    expect(await values()).toStrictEqual(['mx.example', 'MTA', null, null, null, null]);
    await mta.helo('client.example');
    expect(await values()).toStrictEqual(['mx.example', 'MTA', 'TLSv1.3', null, null, null]);
    await mta.mail('<a@b.example>');
    expect(await values()).toStrictEqual(['mx.example', 'MTA', 'TLSv1.3', 'Q1', 'a@b.example', null]);
    await mta.rcpt('<c@d.example>');
    expect(await values()).toStrictEqual([
      'mx.example',
      'MTA',
      'TLSv1.3',
      'Q1',
      'a@b.example',
      'c@d.example',
    ]);
    await mta.data();
    expect((await values())[3]).toStrictEqual('Q2');
  });

  it('single letters with and without braces; longer names need them', async () => {
    await filter.use({
      handlers: { connect: ask('j', '{j}', '{daemon_name}', 'daemon_name', '{none}', 'z') },
    });
    await using mta = await filter.session({ macros });
    await mta.connect('client.example');
    expect(await values()).toStrictEqual(['mx.example', 'mx.example', 'MTA', null, null, null]);
  });

  it('in handlers of events that were collected, and in eom; bytes that are not UTF-8', async () => {
    await filter.use({ handlers: { header: ask('i', '{mail_addr}'), eom: ask('{msg_id}', '{odd}') } });
    await using mta = await filter.greeted({ macros });
    await mta.message({ ...ENVELOPE, headers: [['Subject', 'x']] });
    expect(await values()).toStrictEqual(['Q2', 'a@b.example', '<1@b.example>', 'caf\udce9']);
  });

  it('after an await in the handler', async () => {
    await filter.use({ handlers: { envfrom: { wait: 5, afterwards: [['getsymval', 'i']] } } });
    await using mta = await filter.greeted({ macros });
    await mta.mail('<a@b.example>');
    expect(await values()).toStrictEqual(['Q1']);
  });

  it('after the answer: ERR_MILTER_BAD_CONTEXT', async () => {
    await filter.use({ handlers: { envfrom: { detached: [['getsymval', 'i']] } } });
    await using mta = await filter.greeted({ macros });
    await mta.mail('<a@b.example>');
    const [, , error] = await filter.event('error');
    expect((error as ToldError).code).toBe('ERR_MILTER_BAD_CONTEXT');
  });

  it('invalid names', async () => {
    await filter.use({
      handlers: {
        connect: {
          call: [
            ['getsymval', ''],
            ['getsymval', 'a\0b'],
            ['getsymval', 7],
          ],
        },
      },
    });
    await using mta = await filter.session({ macros });
    await mta.connect('client.example');
    expect((await filter.eventsOf('error')).map(([, , error]) => (error as ToldError).code)).toStrictEqual(
      Array(3).fill('ERR_MILTER_BAD_ARGUMENT'),
    );
  });
});
