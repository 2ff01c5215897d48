/** TestCtx: what it plays, what it records, what it refuses. test/fuzz/test-ctx-agrees.test.ts holds it against libmilter. */
import { spawnSync } from 'node:child_process';
import { createReadStream, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import * as Milter from 'tsmilter';
import {
  Actions,
  type PeerAddress,
  Protocol,
  TestCtx,
  type TestCtxOptions,
  type TestStep,
} from 'tsmilter/testing';
import { projectRoot } from '../../tools/project-root.js';
import { within } from '../../tools/wait.js';
import { makeTelling, type Script } from '../fixtures/script.js';
import { errorWith, expectThat } from '../support/expect.js';

type Call = readonly [name: string, ...args: unknown[]];

/** A context with a filter made of data, and what the filter has told. */
function scripted(
  handlers: Script['handlers'],
  options: TestCtxOptions = {},
  statics: Script['statics'] = {},
) {
  const calls: Call[] = [];
  const ctx = new TestCtx(
    makeTelling({ handlers, statics }, (...call: Call) => calls.push(call)),
    { errorHook: () => {}, ...options },
  );
  return { ctx, calls, named: (name: string) => calls.filter(([found]) => found === name) };
}

const NAMES = [
  'connect',
  'hello',
  'envfrom',
  'envrcpt',
  'data',
  'header',
  'eoh',
  'body',
  'eom',
  'abort',
  'close',
];
const EVERYTHING = Object.fromEntries([...NAMES, 'unknown'].map((name) => [name, {}]));
const MESSAGE = 'Subject: hello\nX-Folded: one\n two\n\nfirst\nsecond\n';

/** @contract 20 */
describe('a message is fed through a filter', () => {
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'tsmilter-test-ctx-'));
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  const EXPECTED: readonly Call[] = [
    ['new'],
    ['connect', 'localhost', Milter.AF_INET, ['127.0.0.1', 25000]],
    ['hello', 'localhost'],
    ['envfrom', '<sender@example.com>'],
    ['envrcpt', '<recipient@example.com>'],
    ['data'],
    ['header', 'Subject', 'hello'],
    ['header', 'X-Folded', 'one\n two'],
    ['eoh'],
    ['body', Buffer.from('first\r\nsecond\r\n')],
    ['eom'],
    ['close'],
  ];

  it("from a file, in libmilter's order", async () => {
    const path = join(directory, 'message.eml');
    writeFileSync(path, MESSAGE);
    const { ctx, calls } = scripted(EVERYTHING);
    const result = await ctx.feedFile(path);
    await ctx.close();
    expect(calls).toStrictEqual(EXPECTED);
    expect(result.endedAt).toBe('eom');
    expect(result.verdict).toBe('continue');
    expect(result.message).toBe(ctx.message);
  });

  const SOURCES: readonly [string, () => Parameters<TestCtx['feedMessage']>[0]][] = [
    ['a string', () => MESSAGE],
    ['a Buffer', () => Buffer.from(MESSAGE)],
    ['a stream', () => Readable.from(MESSAGE.match(/.{1,5}/gs) ?? [])],
    ['an iterable', () => [Buffer.from(MESSAGE.slice(0, 7)), MESSAGE.slice(7)]],
  ];
  for (const [title, source] of SOURCES) {
    it(`from ${title}`, async () => {
      const { ctx, calls } = scripted(EVERYTHING);
      await ctx.feedMessage(source());
      await ctx.close();
      expect(calls).toStrictEqual(EXPECTED);
    });
  }

  it('a missing file is an error, and the session can continue', async () => {
    await using ctx = scripted({}).ctx;
    await expect(ctx.feedFile(join(directory, 'none'))).rejects.toThrow(errorWith({ code: 'ENOENT' }));
    expect((await ctx.feedMessage(MESSAGE)).verdict).toBe('continue');
  });

  it('files and streams that fail before their turn reject their own call only', async () => {
    await using ctx = scripted({}).ctx;
    const missing = join(directory, 'none');
    const stream = createReadStream(missing);
    const closed = new Promise<void>((resolve) => stream.once('close', resolve));
    const results = [
      ctx.feedMessage(MESSAGE),
      ctx.feedFile(missing),
      ctx.feedMessage(stream),
      ctx.feedMessage(MESSAGE),
    ].map((fed) =>
      fed.then(
        ({ verdict }) => verdict,
        ({ code }) => code as string,
      ),
    );
    await within('the stream to fail', closed);
    expect(await Promise.all(results)).toStrictEqual(['continue', 'ENOENT', 'ENOENT', 'continue']);
  });

  it('steps that were negotiated away are skipped', async () => {
    const { ctx, calls } = scripted({ envfrom: {}, eom: {} });
    expect((await ctx.connect()).verdict).toBe('skipped');
    const { recipients } = await ctx.feedMessage(MESSAGE);
    expect(recipients).toStrictEqual([{ verdict: 'skipped' }]);
    expect(calls.map(([name]) => name)).toStrictEqual(['new', 'envfrom', 'eom']);
    expect(ctx.negotiated.protocol & Protocol.NOHDRS).toBeTruthy();
    await ctx.close();
  });

  const ENDS: readonly [handler: string, endedAt: TestStep][] = [
    ['connect', 'connect'],
    ['hello', 'helo'],
    ['envfrom', 'envfrom'],
    ['envrcpt', 'envrcpt'],
    ['data', 'data'],
    ['header', 'header'],
    ['eoh', 'eoh'],
    ['body', 'body'],
    ['eom', 'eom'],
  ];
  for (const [handler, endedAt] of ENDS) {
    for (const [verdict, answer] of [
      ['reject', Milter.REJECT],
      ['tempfail', Milter.TEMPFAIL],
      ['accept', Milter.ACCEPT],
    ] as const) {
      it(`${verdict} from ${handler} ends it`, async () => {
        const { ctx, calls } = scripted(
          { ...EVERYTHING, [handler]: { answer, wait: 0 } },
          { immediate: true },
        );
        const result = await ctx.feedMessage(MESSAGE);
        expect(result.endedAt).toBe(endedAt);
        expect(result.verdict).toBe(verdict);
        const last = calls.filter(([name]) => name !== 'abort').at(-1);
        expect(last?.[0]).toBe(handler);
        await ctx.close();
        expect(calls.at(-1)).toStrictEqual(['close']);
      });
    }
  }

  it('after connect or helo was refused or accepted, no message is sent', async () => {
    const { ctx, named } = scripted({ ...EVERYTHING, hello: { answer: Milter.REJECT } });
    await ctx.feedMessage(MESSAGE);
    const again = await ctx.feedMessage(MESSAGE, { sender: ['<a@example.com>', 'SIZE=1'] });
    expect([again.endedAt, again.verdict, again.message.senderParams]).toStrictEqual([
      'helo',
      'reject',
      ['SIZE=1'],
    ]);
    expect(named('hello')).toHaveLength(1);
    expect(named('envfrom')).toHaveLength(0);
    await ctx.close();
  });

  it('a refused recipient does not end it while another is left; refusing the last one aborts it', async () => {
    const acts = [{ answer: Milter.REJECT }, {}];
    const { ctx } = scripted({ ...EVERYTHING, envrcpt: acts });
    const result = await ctx.feedMessage(MESSAGE, { recipients: ['<a@example.com>', '<b@example.com>'] });
    expect(result.endedAt).toBe('eom');
    expect(result.recipients.map(({ verdict }) => verdict)).toStrictEqual(['reject', 'continue']);
    expect(result.message.recipients).toStrictEqual([{ address: '<b@example.com>', params: [] }]);
    await ctx.close();

    const none = scripted({ ...EVERYTHING, envrcpt: { answer: Milter.TEMPFAIL } });
    expect((await none.ctx.feedMessage(MESSAGE)).endedAt).toBe('envrcpt');
    expect(none.named('abort')).toHaveLength(1);
    await none.ctx.close();
  });

  it('the verdict of a deferred handler is given at the end, and nothing is called after it', async () => {
    const { ctx, calls } = scripted({ ...EVERYTHING, header: { answer: Milter.REJECT } });
    const { endedAt, verdict } = await ctx.feedMessage(MESSAGE);
    expect([endedAt, verdict]).toStrictEqual(['eom', 'reject']);
    expect(calls.at(-1)).toStrictEqual(['header', 'Subject', 'hello']);
    await ctx.close();
  });

  it('SKIP leaves out further headers or body chunks, but nothing else', async () => {
    const skip = { answer: Milter.SKIP };
    for (const immediate of [true, false]) {
      const { ctx, named } = scripted(
        { ...EVERYTHING, header: skip, body: skip },
        { immediate, chunkSize: 4 },
      );
      const { message } = await ctx.feedMessage(MESSAGE);
      expect(named('header')).toHaveLength(1);
      expect(named('body')).toHaveLength(1);
      expect(named('eom')).toHaveLength(1);
      expectThat(message.headers, 'the MTA has them all the same').toHaveLength(2);
      expect(message.body.toString()).toBe('first\r\nsecond\r\n');
      await ctx.close();
    }
  });

  it('many messages in one session, one after the other', async () => {
    const { ctx, calls, named } = scripted(EVERYTHING);
    await Promise.all([ctx.feedMessage(MESSAGE), ctx.feedMessage(MESSAGE)]);
    await ctx.close();
    expect(named('connect')).toHaveLength(1);
    expect(calls.filter(([name]) => name === 'new')).toHaveLength(1);
    const order = calls.map(([name]) => name).filter((name) => name === 'envfrom' || name === 'eom');
    expect(order).toStrictEqual(['envfrom', 'eom', 'envfrom', 'eom']);
  });

  it('a full batch is handed over in the middle of a message', async () => {
    const long = { answer: Milter.REJECT };
    for (const [body, times] of [
      [{}, 5],
      [long, 1],
      [{ answer: Milter.SKIP }, 1],
    ] as const) {
      const { ctx, named } = scripted({ ...EVERYTHING, body });
      const result = await ctx.feedMessage(`A: b\n\n${'x'.repeat(300_000)}`);
      expect(named('body')).toHaveLength(times);
      expect(result.verdict).toBe(body === long ? 'reject' : 'continue');
      await ctx.close();
    }
  });

  it('a handler that only borrows its chunks finds zeros in those that it has kept', async () => {
    class Keeping extends Milter.Base {
      readonly chunks: Buffer[] = [];
      override body(chunk: Buffer): Milter.Answer {
        this.chunks.push(chunk);
        return Milter.CONTINUE;
      }
    }
    class Borrowing extends Keeping {
      @Milter.borrowed
      override body(chunk: Buffer): Milter.Answer {
        this.chunks.push(Buffer.from(chunk));
        return super.body(chunk);
      }
    }
    const given = Buffer.from('abc\r\n');
    for (const [filterClass, expected] of [
      [Keeping, ['abc\r\n']],
      [Borrowing, ['abc\r\n', '\0'.repeat(given.length)]],
    ] as const) {
      const filter = new filterClass();
      await new TestCtx(() => filter).feedMessage(Buffer.concat([Buffer.from('Subject: x\r\n\r\n'), given]));
      expect(filter.chunks.map(String)).toStrictEqual(expected);
    }
    expect(given.toString()).toBe('abc\r\n');
  });

  it('the handler of the end no longer finds what was only borrowed, but what was kept', async () => {
    const long = 'x'.repeat(40_000);
    const first: string[] = [];
    class Keeping extends Milter.Base {
      #chunk: Buffer = Buffer.alloc(0);
      override body(chunk: Buffer): Milter.Answer {
        this.#chunk = chunk;
        return Milter.CONTINUE;
      }
      override eom(): Milter.Answer {
        first.push(this.#chunk.toString('latin1', 0, 1));
        return Milter.ACCEPT;
      }
    }
    class Borrowing extends Keeping {
      @Milter.borrowed
      override body(chunk: Buffer): Milter.Answer {
        return super.body(chunk);
      }
    }
    for (const factory of [Keeping, Borrowing]) await new TestCtx(factory).feedMessage(`A: b\n\n${long}`);
    expect(first).toStrictEqual(['x', '\0']);
  });

  it('after a verdict in the middle of a message no handler is called, even if the message is aborted', async () => {
    const { ctx, calls } = scripted({ ...EVERYTHING, body: { answer: Milter.REJECT } });
    await ctx.envfrom('<a@example.com>');
    await ctx.envrcpt('<b@example.com>');
    await ctx.data();
    await ctx.eoh();
    await ctx.body('x'.repeat(300_000));
    const at = calls.length;
    await ctx.abort();
    expect(calls).toHaveLength(at);
    await ctx.close();
  });
});

/** @contract 20 */
describe('a message is split as an MTA does', () => {
  async function split(source: string | Buffer, statics = {}) {
    const { ctx, named } = scripted({ header: {}, body: {} }, {}, statics);
    const { message } = await ctx.feedMessage(source);
    await ctx.close();
    return {
      headers: named('header').map(([, name, value]) => [name, value]),
      body: Buffer.concat(named('body').map(([, chunk]) => chunk as Buffer)).toString('latin1'),
      message,
    };
  }

  const CASES: readonly [title: string, source: string | Buffer, headers: string[][], body: string][] = [
    ['CRLF', 'A: b\r\n\r\nc\r\n', [['A', 'b']], 'c\r\n'],
    ['LF becomes CRLF, a lone CR stays', 'A: b\n\nc\rd\n\ne', [['A', 'b']], 'c\rd\r\n\r\ne\r\n'],
    ['folded lines are joined by LF', 'A: b\r\n\tc\r\n d\r\n\r\n', [['A', 'b\n\tc\n d']], ''],
    [
      'one space after the colon is taken away',
      'A:  b\nC:d\nE:\n\n',
      [
        ['A', ' b'],
        ['C', 'd'],
        ['E', ''],
      ],
      '',
    ],
    ['no body, no empty line', 'A: b\n', [['A', 'b']], ''],
    ['no header', '\nbody\n', [], 'body\r\n'],
    [
      'a line that is no header begins the body',
      'A: b\nno header\nC: d\n',
      [['A', 'b']],
      'no header\r\nC: d\r\n',
    ],
    ['so does a MIME boundary', 'A: b\n--x: y\n', [['A', 'b']], '--x: y\r\n'],
    ['and a line that begins with a space, before any header', ' x\nA: b\n', [], ' x\r\nA: b\r\n'],
    ['a name with a space inside is none', 'A b: c\n', [], 'A b: c\r\n'],
    ['white space before the colon is left out', 'A \t: b\n\n', [['A', 'b']], ''],
    ['a line of a mailbox is left out', 'From a@b Mon Jan  1\nA: b\n\n', [['A', 'b']], ''],
    ['bytes that are not UTF-8', Buffer.from('A: \xe9\n\n\xe9', 'latin1'), [['A', '\udce9']], '\xe9\r\n'],
    ['a NUL ends a value, as in C', 'A: b\0c\n\nd\0\n', [['A', 'b']], 'd\0\r\n'],
    ['nothing at all', '', [], ''],
  ];
  for (const [title, source, headers, body] of CASES) {
    it(title, async () => {
      const found = await split(source);
      expect([found.headers, found.body]).toStrictEqual([headers, body]);
      expect(found.message.headers).toStrictEqual(headers);
    });
  }

  it('HDR_LEADSPC: values keep their leading space, and must be sent with one', async () => {
    const { ctx, named } = scripted(
      { header: {}, eom: { call: [['addheader', 'X', ' spaced']] } },
      {},
      { headerLeadingSpace: true },
    );
    const { message } = await ctx.feedMessage('A: b\nC:d\n\n');
    expect(named('header')).toStrictEqual([
      ['header', 'A', ' b'],
      ['header', 'C', 'd'],
    ]);
    expect(message.headers).toStrictEqual([
      ['A', 'b'],
      ['C', 'd'],
      ['X', 'spaced'],
    ]);
    await ctx.envfrom('<a@example.com>');
    await ctx.envrcpt('<b@example.com>');
    await ctx.header('E', ' f');
    expect(ctx.message?.header('e')).toStrictEqual(['f']);
    await ctx.close();
  });

  it('the body is sent in chunks', async () => {
    const { ctx, named } = scripted({ body: {} }, { chunkSize: 5 });
    await ctx.feedMessage('\n123456789\n');
    expect(named('body').map(([, chunk]) => String(chunk))).toStrictEqual(['12345', '6789\r', '\n']);
    await ctx.close();
  });

  it('a message larger than maxMessageSize is rejected, even from a stream', async () => {
    const { ctx } = scripted({}, { maxMessageSize: 10 });
    expect((await ctx.feedMessage('A: b\n\n1234')).verdict).toBe('continue');
    for (const source of ['A: b\n\n12345', Readable.from(['A: b\n\n', '1234', '5'])]) {
      await expect(ctx.feedMessage(source)).rejects.toThrow(
        errorWith({
          code: 'ERR_MILTER_BAD_ARGUMENT',
          message: /maxMessageSize/,
        }),
      );
    }
    await ctx.close();
  });
});

/** @contract 21 */
describe('macros', () => {
  const ASK = {
    call: ['i', '{i}', 'j', '{auth_authen}', '{stage}'].map((name) => ['getsymval', name] as const),
  };
  const seen = (calls: readonly Call[]) =>
    calls.filter(([name]) => name === 'result').map(([, , value]) => value);
  const macros = {
    connect: { j: 'mx.example', stage: 'connect' },
    envfrom: { i: 'Q1', auth_authen: 'alice', stage: 'envfrom' },
    eom: { '{stage}': 'eom' },
  };

  it('a handler sees those of its stage and of earlier stages, the latest first', async () => {
    const { ctx, calls } = scripted({ connect: ASK, envfrom: ASK, eom: ASK }, { macros });
    await ctx.connect();
    expect(seen(calls.splice(0))).toStrictEqual([null, null, 'mx.example', null, 'connect']);
    await ctx.envfrom('<a@example.com>');
    expect(seen(calls.splice(0))).toStrictEqual(['Q1', 'Q1', 'mx.example', 'alice', 'envfrom']);
    await ctx.envrcpt('<b@example.com>');
    await ctx.eom();
    expect(seen(calls.splice(0))).toStrictEqual(['Q1', 'Q1', 'mx.example', 'alice', 'eom']);
    await ctx.close();
  });

  it('a new message forgets those of the previous one', async () => {
    const { ctx, calls } = scripted({ envfrom: ASK, envrcpt: ASK, eom: ASK });
    await ctx.macros('eom', { stage: 'of the first' });
    await ctx.envfrom('<a@example.com>');
    expect(seen(calls.splice(0)).at(-1)).toStrictEqual(null);
    await ctx.macros('envrcpt', { stage: Buffer.from([0xe9]) });
    await ctx.envrcpt('<b@example.com>');
    expect(seen(calls.splice(0)).at(-1)).toStrictEqual('\udce9');
    await ctx.macros('header', { stage: 'no stage has it' });
    await ctx.eom();
    expect(seen(calls.splice(0)).at(-1)).toStrictEqual('\udce9');
    await ctx.close();
  });

  it('symbol lists restrict them, unless that is turned off', async () => {
    const statics = { symlist: { envfrom: ['i', '{none}'], eom: [] } };
    for (const [options, expected] of [
      [{}, null],
      [{ honourSymlists: false }, 'alice'],
    ] as const) {
      const { ctx, calls } = scripted({ envfrom: ASK, eom: {} }, { macros, ...options }, statics);
      await ctx.envfrom('<a@example.com>');
      expect(seen(calls)[3]).toStrictEqual(expected);
      expect(ctx.negotiated.symlists).toStrictEqual({ mail: ['i', '{none}'], eom: [] });
      await ctx.close();
    }
  });

  it('symbol lists have no effect with an MTA that does not offer them', async () => {
    const { ctx, calls } = scripted(
      { envfrom: ASK },
      { macros, actions: Actions.ALL & ~Actions.SETSYMLIST },
      { symlist: { envfrom: ['i'] } },
    );
    await ctx.envfrom('<a@example.com>');
    expect(seen(calls)[3]).toBe('alice');
    expect(ctx.errors).toStrictEqual([]);
    await ctx.close();
  });
});

/** @contract 21 */
describe('actions', () => {
  const ACTIONS: readonly Call[] = [
    ['addheader', 'X', 'v'],
    ['chgheader', 'X', 1, 'v'],
    ['addrcpt', '<a@b>'],
    ['delrcpt', '<a@b>'],
    ['replacebody', 'x'],
    ['chgfrom', '<a@b>'],
    ['quarantine', 'why'],
    ['progress'],
  ];
  for (const action of ACTIONS) {
    it(`${action[0]} before eom throws`, async () => {
      const { ctx, named } = scripted({
        ...EVERYTHING,
        connect: { call: [action] },
        body: { call: [action] },
      });
      await ctx.feedMessage(MESSAGE);
      await ctx.close();
      const codes = named('error').map(([, , error]) => (error as { code: string }).code);
      expect(codes).toStrictEqual(['ERR_MILTER_NOT_IN_EOM', 'ERR_MILTER_NOT_IN_EOM']);
    });
  }

  it('throw without their right, even in eom', async () => {
    const { ctx, named } = scripted(
      { eom: { call: [['addheader', 'X', 'v']] } },
      { actions: Actions.CHGHDRS },
    );
    const { modifications } = await ctx.feedMessage(MESSAGE);
    expect(modifications).toStrictEqual([]);
    expect((named('error')[0]?.[2] as Milter.MilterError | undefined)?.code).toBe(
      'ERR_MILTER_DISABLED_ACTION',
    );
    await ctx.close();
  });
});

/** @contract 22 */
describe('the record of a session', () => {
  const eom = (...call: Call[]) => ({ eom: { call } });
  async function fed(call: Call[], options: TestCtxOptions = {}, message = MESSAGE) {
    await using ctx = scripted(eom(...call), options).ctx;
    return ctx.feedMessage(message, {
      sender: ['<a@example.com>', 'SIZE=10'],
      recipients: [['<b@example.com>', 'NOTIFY=NEVER'], 'c@example.com'],
    });
  }

  it('the envelope: added and deleted recipients with parameters, and the sender', async () => {
    const { message, modifications } = await fed([
      ['addrcpt', '<new@example.com>', 'NOTIFY=SUCCESS ORCPT=rfc822;x'],
      ['addrcpt', '<plain@example.com>'],
      ['delrcpt', '<c@example.com>'],
      ['delrcpt', '<unknown@example.com>'],
      ['chgfrom', '<other@example.com>', 'AUTH=<>'],
    ]);
    const added = [
      { address: '<new@example.com>', params: ['NOTIFY=SUCCESS', 'ORCPT=rfc822;x'] },
      { address: '<plain@example.com>', params: [] },
    ];
    expect(message.added).toStrictEqual(added);
    expect(message.deleted).toStrictEqual(['<c@example.com>', '<unknown@example.com>']);
    expect(message.recipients).toStrictEqual([
      { address: '<b@example.com>', params: ['NOTIFY=NEVER'] },
      ...added,
    ]);
    expect([message.sender, message.senderParams]).toStrictEqual(['<other@example.com>', ['AUTH=<>']]);
    expect(modifications[4]).toStrictEqual({
      type: 'chgfrom',
      sender: '<other@example.com>',
      params: 'AUTH=<>',
    });
  });

  it('the rest of the message is unchanged', async () => {
    const { message } = await fed([]);
    expect([message.sender, message.senderParams]).toStrictEqual(['<a@example.com>', ['SIZE=10']]);
    expect(message.headers).toStrictEqual([
      ['Subject', 'hello'],
      ['X-Folded', 'one\n two'],
    ]);
    expect(message.body.toString()).toBe('first\r\nsecond\r\n');
    expect(message.quarantine).toBeNull();
    expect(message.bodyReplaced).toBe(false);
  });

  it('body, quarantine, progress', async () => {
    const { message, modifications, progress } = await fed([
      ['replacebody', 'new '],
      ['progress'],
      ['replacebody', Buffer.from([0xff])],
      ['quarantine', 'odd'],
      ['replacebody', '!'],
    ]);
    expect(message.body).toStrictEqual(Buffer.from('new \xff!', 'latin1'));
    expect(message.bodyReplaced).toBe(true);
    expect(message.quarantine).toBe('odd');
    expect(progress).toBe(1);
    expect(modifications.map(({ type }) => type)).toStrictEqual(['replacebody', 'quarantine', 'replacebody']);
  });

  const THREE = 'A: 1\nB: 2\nA: 3\n\n';
  const HEADERS: readonly [title: string, call: Call[], postfix: string, sendmail: string][] = [
    ['addheader of a new name', [['addheader', 'X', 'x']], 'A1 B2 A3 Xx', 'A1 B2 A3 Xx'],
    ['addheader of a name that is there', [['addheader', 'a', 'x']], 'A1 B2 A3 ax', 'ax A1 B2 A3'],
    ['insheader 0', [['addheader', 'X', 'x', 0]], 'Xx A1 B2 A3', 'Xx A1 B2 A3'],
    ['insheader 1', [['addheader', 'X', 'x', 1]], 'Xx A1 B2 A3', 'Xx A1 B2 A3'],
    ['insheader 2', [['addheader', 'X', 'x', 2]], 'A1 Xx B2 A3', 'Xx A1 B2 A3'],
    ['insheader 9', [['addheader', 'X', 'x', 9]], 'A1 B2 A3 Xx', 'A1 Xx B2 A3'],
    ['chgheader', [['chgheader', 'a', 2, 'x']], 'A1 B2 Ax', 'A1 B2 Ax'],
    ['chgheader 0', [['chgheader', 'A', 0, 'x']], 'Ax B2 A3', 'Ax B2 A3'],
    [
      'chgheader of one that is not there adds it',
      [['chgheader', 'X', 1, 'x']],
      'A1 B2 A3 Xx',
      'A1 B2 A3 Xx',
    ],
    ['deleting one that is not there', [['chgheader', 'X', 1, null]], 'A1 B2 A3', 'A1 B2 A3'],
    [
      'delete the first, then change the first',
      [
        ['chgheader', 'A', 1, null],
        ['chgheader', 'A', 1, 'x'],
      ],
      'B2 Ax',
      'Ax B2 A3',
    ],
    [
      'delete from the last to the first',
      [
        ['chgheader', 'A', 2, ''],
        ['chgheader', 'A', 1, null],
      ],
      'B2',
      'B2',
    ],
    [
      'the own Received is not counted',
      [['chgheader', 'Received', 1, 'x']],
      'A1 B2 A3 Receivedx',
      'A1 B2 A3 Receivedx',
    ],
  ];
  for (const [title, call, postfix, sendmail] of HEADERS) {
    it(`headers with their indexes: ${title}`, async () => {
      for (const [headerRules, expected] of [
        ['postfix', postfix],
        ['sendmail', sendmail],
      ] as const) {
        const { message } = await fed(call, { headerRules }, THREE);
        expectThat(message.headers.map(([name, value]) => name + value).join(' '), headerRules).toBe(
          expected,
        );
      }
    });
  }

  it('the reply: code, extended code, lines', async () => {
    const call = [['setreply', '550', '5.7.1', 'no', 'thanks']] as const;
    const { ctx } = scripted({ envfrom: [{ call, answer: Milter.REJECT }, { answer: Milter.TEMPFAIL }] });
    expect(ctx.reply).toBeNull();
    const { response } = await ctx.feedMessage(MESSAGE);
    expect(ctx.reply).toStrictEqual({
      code: '550',
      xcode: '5.7.1',
      lines: ['no', 'thanks'],
      text: '550-5.7.1 no\r\n550 5.7.1 thanks',
    });
    expect(response.reply).toBe(ctx.reply);
    await ctx.feedMessage(MESSAGE);
    expectThat(ctx.reply, 'the MTA takes words of its own').toBeNull();
    await ctx.close();
  });

  it('errors of handlers, and the reply of the exception policy', async () => {
    const told: string[] = [];
    const { ctx } = scripted(
      { envfrom: { throws: 'oh' } },
      { name: 'mine', exceptionPolicy: Milter.REJECT, errorHook: (_, step) => told.push(step) },
    );
    const { verdict } = await ctx.feedMessage(MESSAGE);
    expect(verdict).toBe('reject');
    expect(ctx.reply?.text).toBe('554 5.3.0 mine: untrapped exception');
    expect(ctx.errors.map(({ step, error }) => [step, (error as Error).message])).toStrictEqual([
      ['envfrom', 'oh'],
    ]);
    expect(told).toStrictEqual(['envfrom']);
    await ctx.close();
  });

  it('without the option, the exception policy is that of setExceptionPolicy', async () => {
    const old = Milter.setExceptionPolicy(Milter.ACCEPT);
    try {
      const { ctx } = scripted({ envfrom: { throws: 'oh' } });
      expect((await ctx.feedMessage(MESSAGE)).verdict).toBe('accept');
      await ctx.close();
    } finally {
      Milter.setExceptionPolicy(old);
    }
  });

  it('handlerTimeout applies', async () => {
    const { ctx } = scripted({ envfrom: { gate: 'never opened' } }, { handlerTimeout: 5 });
    expect((await ctx.feedMessage(MESSAGE)).verdict).toBe('tempfail');
    expect((ctx.errors[0]?.error as Milter.MilterError | undefined)?.code).toBe('ERR_MILTER_HANDLER_TIMEOUT');
    await ctx.close();
  });

  it('progressInterval shows progress while eom is awaited', async () => {
    const { ctx } = scripted({ eom: { wait: 60 } }, { progressInterval: 5 });
    const { progress } = await ctx.feedMessage(MESSAGE);
    expect(progress).toBeGreaterThanOrEqual(1);
    await ctx.close();
  });

  const PEERS: readonly [PeerAddress, family: number, hostaddr: unknown][] = [
    [{ family: 'inet', address: '192.0.2.1', port: 40000 }, Milter.AF_INET, ['192.0.2.1', 40000]],
    [{ family: 'inet6', address: '2001:DB8:0:0::1', port: 25 }, Milter.AF_INET6, ['2001:db8::1', 25, 0, 0]],
    [{ family: 'inet6', address: 'IPv6:0:0:0:0:0:0:0:1', port: 0 }, Milter.AF_INET6, ['::1', 0, 0, 0]],
    [{ family: 'unix', path: '/run/client' }, Milter.AF_UNIX, '/run/client'],
    [{ family: 'unknown' }, Milter.AF_UNSPEC, null],
  ];
  for (const [hostaddr, family, expected] of PEERS) {
    it(`hostaddr has its real shape: ${JSON.stringify(hostaddr)}`, async () => {
      const { ctx, named } = scripted(EVERYTHING, { hostname: '[IPv6:::1]', hostaddr, helo: 'me' });
      await ctx.feedMessage(MESSAGE);
      await ctx.close();
      expect(named('connect')).toStrictEqual([['connect', '[IPv6:::1]', family, expected]]);
      expect(named('hello')).toStrictEqual([['hello', 'me']]);
    });
  }

  it('two contexts share nothing', async () => {
    class Counter extends Milter.Base {
      count = 0;
      override envfrom() {
        this.count++;
        this.setreply('550', '5.7.1', `number ${this.count}`);
        return Milter.REJECT;
      }
    }
    await using one = new TestCtx(Counter, { protocol: Protocol.ALL & ~Protocol.NOHELO });
    await using other = new TestCtx(() => new Counter());
    const [first, second] = await Promise.all([
      one.envfrom('<a@example.com>'),
      other.envfrom('<b@example.com>'),
    ]);
    await one.envfrom('<c@example.com>');
    expect([first, second].map(({ reply }) => reply?.lines)).toStrictEqual([['number 1'], ['number 1']]);
    expect([one, other].map(({ filter }) => (filter as Counter).count)).toStrictEqual([2, 1]);
    expect([one, other].map(({ message }) => message?.sender)).toStrictEqual([
      '<c@example.com>',
      '<b@example.com>',
    ]);
    expect(one.negotiated).not.toStrictEqual(other.negotiated);
  });
});

describe('TestCtx', () => {
  it('works without libmilter and the addon', () => {
    const code = `
      const Milter = require('tsmilter');
      const { TestCtx } = require('tsmilter/testing');
      class Filter extends Milter.Base { eom() { this.addheader('X', 'y'); return Milter.ACCEPT; } }
      (async () => {
        const ctx = new TestCtx(Filter);
        const { verdict, message } = await ctx.feedMessage('A: b\\n\\n');
        await ctx.close();
        const loaded = process.report.getReport().sharedObjects.filter((path) => /milter/.test(path));
        console.log(JSON.stringify([verdict, message.headers, loaded]));
      })();`;
    const env = { ...process.env, MILTER_ADDON: '/nonexistent/tsmilter.node' };
    const { stdout, stderr } = spawnSync(process.execPath, ['-e', code], {
      cwd: projectRoot,
      env,
      encoding: 'utf8',
    });
    expectThat(JSON.parse(stdout || 'null'), stderr).toStrictEqual([
      'accept',
      [
        ['A', 'b'],
        ['X', 'y'],
      ],
      [],
    ]);
  });

  it('errors in handlers go to stderr if there is no hook', () => {
    const code = `
      const Milter = require('tsmilter');
      const { TestCtx } = require('tsmilter/testing');
      class Filter extends Milter.Base { eom() { throw new Error('seen'); } }
      (async () => { const ctx = new TestCtx(Filter); await ctx.feedMessage(''); await ctx.close(); })();`;
    const { stderr } = spawnSync(process.execPath, ['-e', code], { cwd: projectRoot, encoding: 'utf8' });
    expect(stderr).toMatch(/untrapped exception in eom: Error: seen\n {4}at /);
  });

  it('single steps can make up a message', async () => {
    const { ctx, calls } = scripted(EVERYTHING);
    const verdicts = [
      await ctx.connect('client.example', { family: 'unknown' }),
      await ctx.helo('me'),
      await ctx.unknown('XYZZY'),
      await ctx.envfrom('<a@example.com>', 'SIZE=1'),
      await ctx.envrcpt(Buffer.from('<b@example.com>')),
      await ctx.data(),
      await ctx.header('Subject', 'x'),
      await ctx.eoh(),
      await ctx.body('one\r\n'),
      await ctx.body(''),
      await ctx.body('two\r\n'),
      await ctx.eom(),
    ].map(({ verdict }) => verdict);
    expect(verdicts).toStrictEqual([
      ...Array(6).fill('continue'),
      ...['noreply', 'noreply', 'continue', 'skipped', 'continue', 'continue'],
    ]);
    expect(ctx.message?.body.toString()).toBe('one\r\ntwo\r\n');
    expect(ctx.message?.headers).toStrictEqual([['Subject', 'x']]);
    await ctx.close();
    expect(calls.at(-1)).toStrictEqual(['close']);
  });

  it('steps that are not awaited are performed one after the other', async () => {
    const { ctx, calls } = scripted({ ...EVERYTHING, connect: { wait: 5 } });
    void ctx.connect();
    void ctx.helo();
    await ctx.close();
    expect(calls.map(([name]) => name)).toStrictEqual(['new', 'connect', 'hello', 'close']);
  });

  it('abort: the deferred handlers run, then abort', async () => {
    const { ctx, calls } = scripted(EVERYTHING);
    await ctx.envfrom('<a@example.com>');
    await ctx.envrcpt('<b@example.com>');
    await ctx.header('A', 'b');
    await ctx.abort();
    expect(calls.slice(-2)).toStrictEqual([['header', 'A', 'b'], ['abort']]);
    const at = calls.length;
    await ctx.abort();
    expectThat(calls, 'no message, no abort').toHaveLength(at);
    await ctx.close();
  });

  it('close in the middle of a message is abort, then close, once', async () => {
    const { ctx, calls } = scripted(EVERYTHING);
    await ctx.envfrom('<a@example.com>');
    await Promise.all([ctx.close(), ctx.close()]);
    expect(calls.slice(-2)).toStrictEqual([['abort'], ['close']]);
    await expect(ctx.connect()).rejects.toThrow(errorWith({ code: 'ERR_MILTER_CLOSED' }));
    await expect(ctx.feedMessage(MESSAGE)).rejects.toThrow(errorWith({ code: 'ERR_MILTER_CLOSED' }));
  });

  it('a session without steps has no close', async () => {
    const { ctx, calls } = scripted(EVERYTHING);
    expect(ctx.filter).toBeNull();
    expect(ctx.message).toBeNull();
    expect(() => ctx.negotiated).toThrow(errorWith({ code: 'ERR_MILTER_PROTOCOL' }));
    await ctx.close();
    expect(calls).toStrictEqual([]);
  });

  it('a step that libmilter ignores is an error', async () => {
    const { ctx } = scripted(EVERYTHING);
    await ctx.connect();
    await expect(ctx.body('text')).rejects.toThrow(
      errorWith({
        code: 'ERR_MILTER_PROTOCOL',
        message: /libmilter ignores body/,
      }),
    );
    await expect(ctx.quitNewConnection()).rejects.toThrow(errorWith({ code: 'ERR_MILTER_PROTOCOL' }));
    expect((await ctx.feedMessage(MESSAGE)).verdict).toBe('continue');
    await ctx.close();
  });

  it('a reused connection gets a new object with the same negotiated options', async () => {
    const { ctx, calls } = scripted(EVERYTHING, { actions: Actions.ADDHDRS });
    await ctx.feedMessage(MESSAGE);
    await ctx.quitNewConnection();
    await ctx.feedMessage(MESSAGE);
    await ctx.close();
    const lives = calls.map(([name]) => name).filter((name) => ['new', 'connect', 'close'].includes(name));
    expect(lives).toStrictEqual(['new', 'connect', 'close', 'new', 'connect', 'close']);
  });

  it('after a negotiate that failed, it keeps the rights that were offered', async () => {
    const { ctx, named } = scripted(
      { ...EVERYTHING, negotiate: { throws: 'no' }, eom: { call: [['replacebody', 'x']] } },
      { actions: Actions.ADDHDRS },
    );
    await ctx.feedMessage(MESSAGE);
    await ctx.quitNewConnection();
    await ctx.feedMessage(MESSAGE);
    await ctx.close();
    const codes = named('error').map(([, , error]) => (error as { code: string }).code);
    expect(codes).toStrictEqual(['ERR_MILTER_DISABLED_ACTION', 'ERR_MILTER_DISABLED_ACTION']);
  });

  it('an object that serves another session is refused, until that has ended', async () => {
    class Shared extends Milter.Base {}
    const object = new Shared();
    const [first, second] = [0, 1].map(() => new TestCtx(() => object, { errorHook: () => {} })) as [
      TestCtx,
      TestCtx,
    ];
    await first.negotiate();
    await second.negotiate();
    expect(second.errors).toMatchObject([{ step: 'negotiate', error: { code: 'ERR_MILTER_BAD_ARGUMENT' } }]);
    expect((await second.connect()).verdict).toBe('tempfail');
    expect(first.errors).toStrictEqual([]);
    await first.close();
    expect((await second.helo()).verdict).toBe('continue');
    await second.close();
  });

  it('an MTA that does not negotiate', async () => {
    const { ctx, calls } = scripted(EVERYTHING, { negotiate: false });
    await expect(ctx.connect()).rejects.toThrow(errorWith({ code: 'ERR_MILTER_PROTOCOL' }));
    await ctx.helo();
    expect(calls.map(([name]) => name)).toStrictEqual(['new', 'hello']);
    await expect(ctx.negotiate()).rejects.toThrow(errorWith({ code: 'ERR_MILTER_PROTOCOL' }));
    await ctx.close();
  });

  const REFUSED: readonly [title: string, TestCtxOptions, Script['handlers'], code: string][] = [
    ['a version that is too old', { version: 1 }, {}, 'ERR_MILTER_CLOSED'],
    [
      'an answer to negotiate that libmilter takes for a refusal',
      {},
      { negotiate: { answer: Milter.REJECT } },
      'ERR_MILTER_CLOSED',
    ],
  ];
  for (const [title, options, handlers, code] of REFUSED) {
    it(`a negotiation that fails: ${title}`, async () => {
      const ctx = new TestCtx(
        makeTelling({ handlers }, () => {}),
        options,
      );
      await expect(ctx.negotiate()).rejects.toThrow(errorWith({ code }));
      await expect(ctx.connect()).rejects.toThrow(errorWith({ code }));
      await ctx.close();
    });
  }

  const BAD_CHOICES: readonly [title: string, options: readonly [unknown, unknown]][] = [
    ['rights that were not offered', [3, 0]],
    ['bits that were not offered', [1, 2]],
    ['no number', [1, undefined]],
    ['a big integer', [1n, 0]],
  ];
  for (const [title, chosen] of BAD_CHOICES) {
    it(`a negotiate that chooses ${title}: an error, and the offer stays as it is`, async () => {
      const script = { handlers: { negotiate: {}, hello: {} }, options: chosen as [number, number] };
      const ctx = new TestCtx(
        makeTelling(script, () => {}),
        { actions: 1, protocol: Protocol.SKIP, errorHook: () => {} },
      );
      expect(await ctx.negotiate()).toMatchObject({ actions: 1, protocol: Protocol.SKIP });
      expect(ctx.errors).toMatchObject([{ step: 'negotiate', error: { code: 'ERR_MILTER_BAD_ARGUMENT' } }]);
      expect((await ctx.helo()).verdict).toBe('continue');
      await ctx.close();
    });
  }

  it('an empty offer counts as that of version 1', async () => {
    const { ctx, named } = scripted({ negotiate: { answer: Milter.ALL_OPTS } }, { actions: 0, protocol: 0 });
    await expect(ctx.negotiate()).rejects.toThrow(errorWith({ code: 'ERR_MILTER_PROTOCOL' }));
    expect(named('negotiate')).toStrictEqual([['negotiate', [0xf, 0xff0bf, 0, 0]]]);
    await ctx.close();
  });

  const BAD: readonly [title: string, make: () => unknown, message: RegExp][] = [
    ['no filter', () => new TestCtx(undefined as never), /needs a class/],
    ['chunkSize', () => new TestCtx(Milter.Base, { chunkSize: 0 }), /chunkSize/],
    ['maxMessageSize', () => new TestCtx(Milter.Base, { maxMessageSize: 1.5 }), /maxMessageSize/],
    ['handlerTimeout', () => new TestCtx(Milter.Base, { handlerTimeout: -1 }), /handlerTimeout/],
    ['headerRules', () => new TestCtx(Milter.Base, { headerRules: 'exim' as never }), /headerRules/],
    [
      'exceptionPolicy',
      () => new TestCtx(Milter.Base, { exceptionPolicy: Milter.SKIP as never }),
      /exception policy/,
    ],
    ['macros', () => new TestCtx(Milter.Base).macros('eom', { i: 'a\0b' }), /NUL/],
    [
      'an address',
      () => new TestCtx(Milter.Base).connect('a', { family: 'inet', address: '::1', port: 1 }),
      /not an address/,
    ],
    [
      'a port',
      () => new TestCtx(Milter.Base).connect('a', { family: 'inet', address: '127.0.0.1', port: 65536 }),
      /port/,
    ],
    [
      'a path',
      () => new TestCtx(Milter.Base).connect('a', { family: 'unix', path: 'x'.repeat(108) }),
      /107 bytes/,
    ],
    ['a family', () => new TestCtx(Milter.Base).connect('a', {} as never), /hostaddr must be/],
    ['a text', () => new TestCtx(Milter.Base).helo(7 as never), /must be a string/],
    ['null', () => new TestCtx(Milter.Base).envfrom(null as never), /not null/],
    ['a header without a name', () => new TestCtx(Milter.Base).header('', 'x'), /must not be empty/],
  ];
  for (const [title, make, message] of BAD) {
    it(`refuses an invalid argument: ${title}`, async () => {
      await expect(async () => make()).rejects.toThrow(
        errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT', message }),
      );
    });
  }

  it('a factory that returns no filter: reported, the exception policy answers', async () => {
    const errors: unknown[] = [];
    await using ctx = new TestCtx((() => ({})) as never, { errorHook: (error) => errors.push(error) });
    expect((await ctx.envfrom('<a@example.com>')).verdict).toBe('tempfail');
    expect(String(errors[0])).toMatch(/must give an object/);
  });

  it('steps without reply work, also with MTAs that expect one', async () => {
    const statics = { noreply: ['envfrom', 'body'] };
    for (const [protocol, verdict] of [
      [Protocol.ALL, 'noreply'],
      [Protocol.ALL & ~Protocol.NR_MAIL, 'continue'],
    ] as const) {
      const { ctx } = scripted({ ...EVERYTHING, envfrom: { throws: 'no' } }, { protocol }, statics);
      expect((await ctx.envfrom('<a@example.com>')).verdict).toBe(verdict);
      await ctx.envrcpt('<b@example.com>');
      expectThat((await ctx.eom()).verdict, 'what went wrong holds at the end').toBe('tempfail');
      await ctx.close();
    }
  });
});

describe('delrcpt', () => {
  const odd = '<a @example.com>';
  const message = Buffer.from('A: b\r\n\r\nx\r\n');
  const feed = (ctx: TestCtx, ...recipients: string[]) =>
    ctx.feedMessage(message, { sender: '<from@example.com>', recipients });

  it('takes a recipient that envrcpt got, however it is spelled', async () => {
    const { ctx, named } = scripted({ envrcpt: {}, eom: { call: [['delrcpt', odd]] } });
    await feed(ctx, odd, '<rcpt@example.com>');
    expect(ctx.message?.deleted).toStrictEqual([odd]);
    expect(named('error')).toStrictEqual([]);
  });

  for (const end of ['abort', 'eom'] as const) {
    it(`does not take one of an earlier message, which ended with ${end}`, async () => {
      const { ctx, named } = scripted({ envrcpt: {}, abort: {}, eom: { call: [['delrcpt', odd]] } });
      await ctx.connect('client.example');
      await ctx.envrcpt(odd);
      if (end === 'eom') await ctx.eom();
      else await ctx.abort();
      expect(named('error')).toStrictEqual([]);
      await ctx.envrcpt('<rcpt@example.com>');
      await ctx.eom();
      expect(named('error')).toHaveLength(1);
    });
  }
});
