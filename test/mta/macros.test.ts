// Which macros each MTA sends by itself, from which step on, and with which value; then the choosing of macros. The
// table is for the docs to cite.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { TIMEOUT } from '../../tools/wait';
import type { Acts } from '../fixtures/script';
import { expectThat } from '../support/expect';
import { type Kind, kinds, MtaFixture } from './support/mta-fixture';

/** The steps of the session that is looked at, in their order. */
const steps = ['connect', 'hello', 'unknown', 'envfrom', '1st envrcpt', '2nd envrcpt', 'data'] as const;
const contentSteps = ['header', 'eoh', 'body', 'eom'] as const;
type Step = (typeof steps)[number] | (typeof contentSteps)[number];
const allSteps: readonly Step[] = [...steps, ...contentSteps];

/** A value, or for values that depend on the run, a pattern. */
type Values = Readonly<Partial<Record<Step, string | RegExp>>>;

/** By macro: the steps at which a value comes. It stays until the next one, or the end of the message. */
const table: Readonly<Record<Kind, Readonly<Record<string, Values>>>> = {
  sendmail: {
    j: { connect: 'sendmail.test' },
    _: { connect: '[127.0.0.2]' },
    '{daemon_name}': { connect: 'unix' },
    // of the address that the client connected to
    '{if_name}': { connect: /./ },
    i: { envfrom: /^[0-9A-Za-z]{14,}$/ },
    '{mail_mailer}': { envfrom: 'esmtp' },
    '{mail_host}': { envfrom: '[127.0.0.1]' },
    '{mail_addr}': { envfrom: 'From@Src.test' },
    '{rcpt_mailer}': { '1st envrcpt': 'esmtp' },
    '{rcpt_host}': { '1st envrcpt': '[127.0.0.1]' },
    '{rcpt_addr}': { '1st envrcpt': 'Rcpt@Dest.test', '2nd envrcpt': 'Second@Dest.test' },
    '{msg_id}': { eom: '<macros@src.test>' },
  },
  postfix: {
    j: { connect: 'postfix.test' },
    _: { connect: 'unknown [127.0.0.2]' },
    v: { connect: /^Postfix \d/ },
    '{daemon_name}': { connect: 'postfix.test' },
    '{daemon_addr}': { connect: '127.0.0.1' },
    // a queue file is made for the first recipient that all filters let pass
    i: { '2nd envrcpt': /^[0-9A-F]{10,}$/ },
    '{mail_mailer}': { envfrom: 'smtp' },
    '{mail_host}': { envfrom: /^\[127\.0\.0\.1\]:\d+$/ },
    // letters of either case are made small
    '{mail_addr}': { envfrom: 'from@src.test' },
    '{rcpt_mailer}': { '1st envrcpt': 'smtp' },
    '{rcpt_host}': { '1st envrcpt': /^\[127\.0\.0\.1\]:\d+$/ },
    '{rcpt_addr}': { '1st envrcpt': 'rcpt@dest.test', '2nd envrcpt': 'second@dest.test' },
  },
};

/** Looked for as well, and to be found only where the table has them. */
const others = [
  's r f b v i {client_addr} {client_name} {client_port} {client_ptr} {client_resolve} {if_addr} {daemon_port}',
  '{daemon_addr} {msg_id} {auth_type} {auth_authen} {auth_ssf} {auth_author} {tls_version} {cipher} {cert_subject}',
].flatMap((names) => names.split(' '));

const names = [...new Set([...Object.values(table).flatMap((macros) => Object.keys(macros)), ...others])];

type Found = Readonly<Record<string, string | null>>;

describe('macros', () => {
  let mtas: MtaFixture;
  beforeAll(async () => {
    mtas = await MtaFixture.start();
  });
  afterAll(() => mtas?.stop());

  /** The macros that each step of a session finds. */
  async function found(
    kind: Kind,
    wanted: readonly string[],
    statics: Readonly<Record<string, unknown>>,
  ): Promise<Map<Step, Found>> {
    const filter = mtas.filter();
    const look = { call: wanted.map((name) => ['getsymval', name] as const) };
    const handlers: Acts = Object.fromEntries(
      'connect hello unknown envfrom envrcpt data header eoh body eom'.split(' ').map((name) => [name, look]),
    );
    await filter.use({ handlers: { ...handlers, close: {} }, statics });
    using client = await mtas.open(kind, 'unix', { localAddress: '127.0.0.2' });
    for (const line of [
      'EHLO client.test',
      'XYZZY',
      'MAIL FROM:<From@Src.test>',
      'RCPT TO:<Rcpt@Dest.test>',
      'RCPT TO:<Second@Dest.test>',
      'DATA',
    ])
      await client.command(line);
    // one header, so that each step is there once
    await client.content('Message-Id: <macros@src.test>\r\n\r\nbody\r\n');
    await client.quit();
    await filter.event('close', TIMEOUT);
    await mtas.sink.next(undefined, TIMEOUT);

    const steps = new Map<Step, Record<string, string | null>>();
    let current: Record<string, string | null> = {};
    for (const [name, , value] of await filter.events()) {
      if (name === 'result') {
        current[wanted[Object.keys(current).length] as string] = value as string | null;
      } else if (name !== 'new') {
        current = {};
        const step = name !== 'envrcpt' ? name : steps.has('1st envrcpt') ? '2nd envrcpt' : '1st envrcpt';
        steps.set(step as Step, current);
      }
    }
    expect([...steps.keys()]).toStrictEqual(allSteps);
    return steps;
  }

  for (const kind of kinds) {
    describe(kind, () => {
      test('are sent at the steps that the table lists', async () => {
        const seen = await found(kind, names, { immediate: true });
        for (const name of names) {
          let value: string | RegExp | null = null;
          for (const step of allSteps) {
            value = table[kind][name]?.[step] ?? value;
            const actual = seen.get(step)?.[name] ?? null;
            const what = `${name} in ${step}: ${actual}`;
            if (value instanceof RegExp) expectThat(actual ?? '', what).toMatch(value);
            else expectThat(actual, what).toBe(value);
          }
        }
      });

      // They run after the steps that follow, with other macros: the second recipient's, and those of the message's end.
      test('handlers without reply see the same ones as immediate handlers', async () => {
        const noreply = ['connect', 'hello', 'unknown', 'envfrom', 'envrcpt', 'data'];
        const collected = await found(kind, names, { noreply });
        const oneByOne = await found(kind, names, { noreply, immediate: true });
        const fixed = (seen: Map<Step, Found>, step: Step) => ({
          ...seen.get(step),
          i: typeof seen.get(step)?.i,
        });
        for (const step of steps) {
          expectThat(fixed(collected, step), step).toStrictEqual(fixed(oneByOne, step));
        }
        const queueIds = steps.map((step) => collected.get(step)?.i).filter((id) => id !== null);
        expect(new Set(queueIds).size).toBe(1);
      });

      // The handlers of header, eoh and body run when the MTA has come to the end of the message.
      test('deferred handlers see the same ones as immediate handlers, and those of eom', async () => {
        const seen = await found(kind, names, {});
        const atTheEnd = seen.get('eom');
        for (const step of ['header', 'eoh', 'body'] as const) expect(seen.get(step)).toStrictEqual(atTheEnd);
      });

      test('single letters may be written with or without braces, longer names only with braces', async () => {
        const seen = await found(kind, ['j', '{j}', '{daemon_name}', 'daemon_name'], {});
        const { j, '{j}': braced, '{daemon_name}': long, daemon_name: bare } = seen.get('connect') ?? {};
        expect([j, bare]).toStrictEqual([`${kind}.test`, null]);
        expect(braced).toBe(j);
        expect(long).toBeTruthy();
      });

      /** Macros that are chosen for steps, and those that are found there then. */
      async function chosen(
        symlist: Readonly<Record<string, readonly string[]>>,
      ): Promise<(step: Step) => string[]> {
        const wanted = ['j', '_', '{client_addr}', '{mail_addr}', '{mail_host}', '{rcpt_addr}', '{msg_id}'];
        const seen = await found(kind, wanted, { immediate: true, symlist });
        return (step) => wanted.filter((name) => seen.get(step)?.[name]);
      }

      test('a symbol list replaces the usual ones of its step', async () => {
        const at = await chosen({
          connect: ['{client_addr}'],
          envfrom: ['{mail_addr}'],
          envrcpt: ['{rcpt_addr}'],
          data: ['_'],
        });
        expect(at('connect')).toStrictEqual(['{client_addr}']);
        expect(at('hello')).toStrictEqual(['{client_addr}']);
        expect(at('envfrom')).toStrictEqual(['{client_addr}', '{mail_addr}']);
        expect(at('2nd envrcpt')).toStrictEqual(['{client_addr}', '{mail_addr}', '{rcpt_addr}']);
        expect(at('data')).toStrictEqual(['_', '{client_addr}', '{mail_addr}', '{rcpt_addr}']);
      });

      // Sendmail looks whether there is a list for eoh when it takes the one for eom (milter_data in its milter.c).
      test('a symbol list for eom: Sendmail needs one for eoh as well', async () => {
        const connect = ['{client_addr}'];
        const alone = await chosen({ connect, eom: ['j'] });
        expect(alone('eom').includes('j')).toBe(kind === 'postfix');
        const both = await chosen({ connect, eoh: ['_'], eom: ['j'] });
        expect(both('eoh')).toContain('_');
        expect(both('eoh')).not.toContain('j');
        expect(both('eom')).toContain('j');
      });

      test('a symbol list for eoh alone: Sendmail does not send its usual macros for eom', async () => {
        expect((await chosen({}))('eom').includes('{msg_id}')).toBe(kind === 'sendmail');
        expect((await chosen({ eoh: ['_'] }))('eom')).not.toContain('{msg_id}');
      });

      test('those of a message are forgotten with it', async () => {
        const filter = mtas.filter();
        const look = { call: [['getsymval', '{mail_addr}'] as const, ['getsymval', 'j'] as const] };
        await filter.use({ handlers: { envfrom: {}, hello: look, close: {} } });
        using client = await mtas.open(kind);
        for (const line of ['EHLO a.test', 'MAIL FROM:<from@src.test>', 'RSET', 'EHLO b.test'])
          await client.command(line);
        await client.quit();
        await filter.event('close', TIMEOUT);
        const values = (await filter.eventsOf('result')).map(([, , value]) => value);
        expect(values).toStrictEqual([null, `${kind}.test`, null, `${kind}.test`]);
      });
    });
  }
});
