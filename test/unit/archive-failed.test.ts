/** Messages that handlers fail on: what is saved, how much of it is kept, and that a replay shows the filter the same. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import * as Milter from 'tsmilter';
import { FailedMessages, type FailedMessagesOptions, readSaved, type SavedFacts } from 'tsmilter/archive';
import { MessageFilter, saveFailed } from 'tsmilter/message';
import { replay, TestCtx, type TestCtxOptions } from 'tsmilter/testing';
import { until } from '../../tools/wait';
import { errorWith } from '../support/expect';

const MESSAGE = Buffer.from(
  'Subject: x\nX-Folded: a\n\tb\nX-Raw: \xfc\nX-Bare: y\n\nline\n\nFrom here\n',
  'latin1',
);
const OPTIONS: TestCtxOptions = {
  hostname: 'client.example',
  hostaddr: { family: 'inet6', address: '2001:db8::1', port: 4711 },
  helo: 'helo.example',
  macros: {
    connect: { j: 'mx.example' },
    envfrom: { i: 'Q1', '{auth_authen}': 'alice', '{mine}': 'asked for' },
    eom: { '{msg_id}': '<1@src.test>' },
  },
  errorHook: () => {},
};

let directory: string;
let errors: unknown[];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tsmilter-failed-'));
  errors = [];
});
afterEach(() => {
  rmSync(directory, { recursive: true });
  expect(errors).toStrictEqual([]);
});

const store = (options?: FailedMessagesOptions) => new FailedMessages(join(directory, 'failed'), options);
const saving = (filter: Milter.Factory, failed = store()) =>
  saveFailed(filter, failed, {
    spoolDirectory: join(directory, 'spool'),
    maxMemory: 10,
    onError: (error) => errors.push(error),
  });

/** Runs a message; the result, and the path of what was saved. */
async function run(filter: Milter.Factory, options: TestCtxOptions = {}, message = MESSAGE) {
  const failed = store();
  await using ctx = new TestCtx(saving(filter, failed), { ...OPTIONS, ...options });
  const result = await ctx.feedMessage(message, {
    sender: ['<a@src.test>', 'SIZE=99'],
    recipients: ['<bad@dest.test>', ['<b@dest.test>', 'NOTIFY=NEVER']],
  });
  return { result, errors: ctx.errors, path: (await failed.list())[0] as string, saved: await failed.list() };
}

/** Notes all that it is given, and fails on command. */
class Noting extends Milter.Base {
  static fails: string | null = null;
  static notes: unknown[][] = [];

  #note(step: string, ...args: unknown[]): void {
    Noting.notes.push([step, ...args]);
    if (Noting.fails === step) throw new TypeError(`in ${step}`, { cause: 'a test' });
  }

  override connect(hostname: string, ...peer: Milter.Peer) {
    this.#note('connect', hostname, ...peer, this.getsymval('j'));
    return Milter.CONTINUE;
  }
  override hello(name: string) {
    this.#note('helo', name);
    return Milter.CONTINUE;
  }
  @Milter.symlist('i', '{auth_authen}', '{mine}')
  override envfrom(...sender: string[]) {
    this.#note('envfrom', ...sender, this.getsymval('{mine}'), this.getsymval('{auth_authen}'));
    return Milter.CONTINUE;
  }
  override envrcpt(...recipient: string[]) {
    this.#note('envrcpt', ...recipient);
    return recipient[0]?.includes('bad') ? Milter.REJECT : Milter.CONTINUE;
  }
  override data() {
    this.#note('data');
    return Milter.CONTINUE;
  }
  override header(name: string, value: string) {
    this.#note('header', name, value);
    return Milter.CONTINUE;
  }
  override eoh() {
    this.#note('eoh', this.getsymval('i'));
    return Milter.CONTINUE;
  }
  override async body(chunk: Buffer) {
    this.#note('body', chunk.toString('latin1'));
    return Milter.CONTINUE;
  }
  override async eom() {
    this.#note('eom', this.getsymval('{msg_id}'));
    this.addheader('X-Seen', 'yes');
    return Milter.ACCEPT;
  }
}
beforeEach(() => {
  Noting.fails = null;
  Noting.notes = [];
});

describe('a message that a handler fails on', () => {
  it('is saved with its session', async () => {
    Noting.fails = 'eom';
    const { result, path } = await run(Noting);
    expect(result.verdict).toBe('tempfail');
    const { headers, body, savedAt, error, ...facts } = await readSaved(path);
    expect(facts).toStrictEqual({
      step: 'eom',
      client: {
        hostname: 'client.example',
        peer: { family: 'inet6', address: '2001:db8::1', port: 4711 },
      },
      helo: 'helo.example',
      sender: ['<a@src.test>', 'SIZE=99'],
      recipients: [
        { command: ['<bad@dest.test>'], macros: { i: 'Q1' } },
        { command: ['<b@dest.test>', 'NOTIFY=NEVER'], macros: { i: 'Q1' } },
      ],
      macros: {
        connect: { j: 'mx.example' },
        helo: {},
        envfrom: { i: 'Q1', '{auth_authen}': 'alice', '{mine}': 'asked for' },
        data: { i: 'Q1' },
        eoh: { i: 'Q1' },
        eom: { i: 'Q1', '{msg_id}': '<1@src.test>' },
      },
      complete: true,
    });
    expect(new Date(savedAt).toISOString()).toBe(savedAt);
    expect(error).toMatchObject({ name: 'TypeError', code: null });
    expect(error.text).toMatch(/^TypeError: in eom\n {4}at .*archive-failed\.test.*cause.*'a test'/s);
    expect(headers).toStrictEqual([
      ['Subject', ' x'],
      ['X-Folded', ' a\n\tb'],
      ['X-Raw', ' \udcfc'],
      ['X-Bare', ' y'],
    ]);
    expect(body.toString()).toBe('line\r\n\r\nFrom here\r\n');
  });

  it('is a file of one line of JSON and the message as it arrived, which only this user may read', async () => {
    Noting.fails = 'eom';
    const { path } = await run(Noting);
    expect([statSync(path).mode & 0o777, statSync(join(directory, 'failed')).mode & 0o777]).toStrictEqual([
      0o600, 0o700,
    ]);
    const text = readFileSync(path, 'latin1');
    const end = text.indexOf('\n');
    expect(JSON.parse(text.slice(0, end))).toMatchObject({ format: 1, step: 'eom' });
    expect(text.slice(end + 1)).toBe(MESSAGE.toString('latin1').replaceAll('\n', '\r\n'));
  });

  it.each(['envfrom', 'envrcpt', 'data', 'header', 'eoh', 'body', 'eom'])(
    'in %s is replayed to the same failure',
    async (step) => {
      Noting.fails = step;
      const { result, errors: first, path } = await run(Noting, { immediate: true });
      const notes = Noting.notes;
      Noting.notes = [];
      const again = await replay(Noting, path, { errorHook: () => {}, immediate: true });
      // A refused recipient does not end the message, so it goes on after the failure in envrcpt.
      const until = (list: unknown[][]) => list.slice(0, list.findIndex(([name]) => name === step) + 1);
      expect(until(Noting.notes)).toStrictEqual(until(notes));
      expect([again.errors[0]?.step, again.errors[0]?.error]).toStrictEqual([step, first[0]?.error]);
      if (step !== 'envrcpt')
        expect([again.endedAt, again.verdict]).toStrictEqual([result.endedAt, 'tempfail']);
    },
  );

  it('is replayed to a filter that has been mended', async () => {
    Noting.fails = 'eom';
    const { path } = await run(Noting);
    const notes = Noting.notes;
    Noting.fails = null;
    Noting.notes = [];
    const { verdict, errors: none, message, modifications, recipients } = await replay(Noting, path);
    expect(Noting.notes).toStrictEqual(notes);
    expect([verdict, none]).toStrictEqual(['accept', []]);
    expect(recipients.map((recipient) => recipient.verdict)).toStrictEqual(['reject', 'continue']);
    expect(modifications).toStrictEqual([{ type: 'addheader', name: 'X-Seen', value: 'yes' }]);
    expect(message?.header('X-Seen')).toStrictEqual(['yes']);
    expect(message?.header('X-Folded')).toStrictEqual(['a\n\tb']);
    expect(message?.body.toString()).toBe('line\r\n\r\nFrom here\r\n');
  });

  it.each<[string, new () => Milter.Base, RegExp]>([
    [
      'rejects',
      class extends Milter.Base {
        override async eom(): Promise<Milter.Status> {
          throw { no: 'error' };
        }
      },
      /^\{ no: 'error' \}$/,
    ],
    [
      'does not answer in time',
      class extends Milter.Base {
        override eom(): Promise<Milter.Status> {
          return new Promise(() => {});
        }
      },
      /^MilterError: eom did not answer within 50 ms/,
    ],
    [
      'answers with no status',
      class extends Milter.Base {
        override eom() {
          return undefined as unknown as Milter.Status;
        }
      },
      /^MilterError: eom answered undefined/,
    ],
  ])('is one whose handler %s', async (_, filter, text) => {
    const { result } = await run(filter, { handlerTimeout: 50 });
    expect(result.verdict).toBe('tempfail');
    // A handler that does not answer is not waited for, and so nor is the save.
    const path = await until('a saved message', async () => (await store().list())[0]);
    const { step, error, complete } = await readSaved(path);
    expect([step, complete]).toStrictEqual(['eom', true]);
    expect(error.text).toMatch(text);
  });

  it('is one of a filter of whole messages', async () => {
    class Whole extends MessageFilter {
      protected override async message(): Promise<Milter.Status> {
        throw new Error('no idea');
      }
    }
    const { path } = await run(Whole);
    expect(await replay(Whole, path, { errorHook: () => {} })).toMatchObject({
      verdict: 'tempfail',
      errors: [{ step: 'eom', error: new Error('no idea') }],
    });
  });

  it('is saved whole if the body handler wanted no more of it, and once', async () => {
    let calls = 0;
    class Skipping extends Milter.Base {
      override body() {
        calls++;
        return Milter.SKIP;
      }
      override eom(): Milter.Status {
        throw new Error('late');
      }
    }
    const message = Buffer.from(`A: b\n\n${'x'.repeat(70)}\n`.repeat(3));
    const { path, saved } = await run(Skipping, { chunkSize: 50 }, message);
    expect([calls, saved.length]).toStrictEqual([1, 1]);
    expect((await readSaved(path)).body).toHaveLength(3 * 72 + 2 * 8);
  });
});

describe('a filter whose messages are saved', () => {
  it('works as before', async () => {
    const plain = new TestCtx(Noting, OPTIONS);
    const expected = await plain.feedMessage(MESSAGE);
    const notes = Noting.notes;
    Noting.notes = [];
    await using ctx = new TestCtx(saving(Noting), OPTIONS);
    const result = await ctx.feedMessage(MESSAGE);
    expect(Noting.notes).toStrictEqual(notes);
    expect({ ...result, message: null }).toStrictEqual({ ...expected, message: null });
    expect(readdirSync(join(directory, 'failed'))).toStrictEqual([]);
    await plain.close();
  });

  it('has the handlers that it would have by itself', async () => {
    const greeted: string[] = [];
    class Parent extends Milter.Base {
      @Milter.nocallback
      override hello(_name: string): Milter.Answer {
        return Milter.CONTINUE;
      }
      // A getter, and a field that is no function, are no handlers.
      // biome-ignore lint/suspicious/noExplicitAny: as in plain JavaScript
      override abort = new AbortController() as any;
    }
    Object.defineProperty(Parent.prototype, 'eom', { get: () => () => Milter.REJECT });
    class Filter extends Parent {
      override hello = (name: string) => {
        greeted.push(name);
        return Milter.CONTINUE;
      };
    }
    const { result, errors } = await run(Filter);
    expect(errors).toStrictEqual([]);
    expect(result.verdict).toBe('continue');
    expect(greeted).toStrictEqual(['helo.example']);
  });

  it('keeps its decorators: decoded values, handlers that are not called, those without reply', async () => {
    const seen: unknown[] = [];
    class Decorated extends Milter.Base {
      @Milter.decode('bytes')
      override header(name: string, value: string | Buffer) {
        seen.push([name, value]);
        return Milter.CONTINUE;
      }
      @Milter.nocallback
      override eoh(): Milter.Status {
        throw new Error('never called');
      }
      @Milter.noreply
      override body(chunk: Buffer) {
        seen.push(chunk.length);
        return Milter.CONTINUE;
      }
      override eom(): Milter.Status {
        throw new Error('failed');
      }
    }
    const { path, errors: found } = await run(Decorated);
    expect(seen).toStrictEqual([
      ['Subject', Buffer.from('x')],
      ['X-Folded', Buffer.from('a\n\tb')],
      ['X-Raw', Buffer.from([0xfc])],
      ['X-Bare', Buffer.from('y')],
      19,
    ]);
    expect(found.map(({ step }) => step)).toStrictEqual(['eom']);
    expect((await readSaved(path)).headers[2]).toStrictEqual(['X-Raw', ' \udcfc']);
  });

  it('goes on if nothing can be saved', async () => {
    Noting.fails = 'eom';
    const failed = store({ maxMessageSize: 100 });
    await using ctx = new TestCtx(saving(Noting, failed), OPTIONS);
    expect((await ctx.feedMessage(MESSAGE)).verdict).toBe('tempfail');
    expect(ctx.errors.map(({ error }) => String(error))).toStrictEqual(['TypeError: in eom']);
    expect(errors.splice(0)).toStrictEqual([
      errorWith({ code: 'ERR_MILTER_ARCHIVE', message: /more than 100 bytes is not saved/ }),
    ]);
    expect(readdirSync(join(directory, 'failed'))).toStrictEqual([]);

    rmSync(join(directory, 'spool'), { recursive: true });
    writeFileSync(join(directory, 'spool'), '');
    Noting.fails = null;
    expect((await ctx.feedMessage(MESSAGE)).verdict).toBe('accept');
    expect(errors.splice(0)).toStrictEqual([
      errorWith({ code: expect.stringMatching(/^E(NOTDIR|EXIST)$/) as never }),
    ]);
  });

  it('goes on if the hook for errors throws', async () => {
    Noting.fails = 'eom';
    const stderr = jest.spyOn(process.stderr, 'write').mockReturnValue(true);
    const factory = saveFailed(Noting, store({ maxMessageSize: 100 }), {
      onError: () => {
        throw new Error('the hook');
      },
    });
    try {
      await using ctx = new TestCtx(factory, OPTIONS);
      expect((await ctx.feedMessage(MESSAGE)).verdict).toBe('tempfail');
      const lines = stderr.mock.calls.join('');
      expect(lines).toMatch(/could not be saved: Error: the hook/);
      expect(lines).toMatch(/could not be saved: MilterError: .*more than 100 bytes/);
    } finally {
      stderr.mockRestore();
    }
  });

  it('is refused at once if it is none', () => {
    expect(() => saveFailed(class {} as never, store())).toThrow(
      errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT' }),
    );
    expect(() => saveFailed(Noting, {} as never)).toThrow(errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT' }));
    expect(() => saveFailed(Noting, store(), { maxMemori: 1 } as never)).toThrow(/maxMemory/);
  });
});

describe('the directory', () => {
  const facts = (n: number): SavedFacts => ({
    savedAt: new Date(Date.UTC(2026, 0, n)).toISOString(),
    step: 'eom',
    error: { name: 'Error', code: null, text: 'Error' },
    client: null,
    helo: null,
    sender: ['<>'],
    recipients: [],
    macros: {},
    complete: true,
  });
  const days = async (failed: FailedMessages) =>
    Promise.all((await failed.list()).map(async (path) => (await readSaved(path)).savedAt.slice(8, 10)));

  it('holds so many messages; the oldest make room', async () => {
    const failed = store({ maxFiles: 3 });
    for (let n = 1; n <= 5; n++) await failed.save(facts(n), [Buffer.from('\r\n')]);
    expect(await days(failed)).toStrictEqual(['03', '04', '05']);
  });

  it('holds so many bytes', async () => {
    const failed = store({ maxBytes: 5000 });
    for (let n = 1; n <= 5; n++) await failed.save(facts(n), [Buffer.from('\r\n'), Buffer.alloc(1500)]);
    expect(await days(failed)).toStrictEqual(['04', '05']);
  });

  it('holds no message whose facts alone are larger than one may be', async () => {
    const failed = store({ maxMessageSize: 1000 });
    const helo = 'x'.repeat(1000);
    await expect(failed.save({ ...facts(1), helo }, [])).rejects.toThrow(
      errorWith({ code: 'ERR_MILTER_ARCHIVE', message: /more than 1000 bytes/ }),
    );
    expect(readdirSync(join(directory, 'failed'))).toStrictEqual([]);
  });

  it('is on the disk with the name of a message that has been saved', async () => {
    const failed = store();
    const names = () => readdirSync(join(directory, 'failed'));
    const synced: [isDirectory: boolean, names: string[]][] = [];
    await using handle = await open(directory);
    const prototype = Object.getPrototypeOf(handle) as FileHandle;
    const { sync } = prototype;
    const spy = jest.spyOn(prototype, 'sync').mockImplementation(async function (this: FileHandle) {
      synced.push([(await this.stat()).isDirectory(), names()]);
      await sync.call(this);
    });
    try {
      const path = await failed.save(facts(1), [Buffer.from('\r\n')]);
      const name = path.slice(path.lastIndexOf('/') + 1);
      expect(synced).toStrictEqual([
        [false, [`${name}.unfinished`]],
        [true, [name]],
      ]);
    } finally {
      spy.mockRestore();
    }
  });

  it('is made private, and must belong to this user', () => {
    mkdirSync(join(directory, 'failed'), { mode: 0o755 });
    store();
    expect(statSync(join(directory, 'failed')).mode & 0o777).toBe(0o700);
    writeFileSync(join(directory, 'file'), '');
    expect(() => new FailedMessages(join(directory, 'file'))).toThrow(/EEXIST|not a directory/);
  });

  it('loses what a killed process has not finished, and nothing else', async () => {
    const failed = store({ maxFiles: 1 });
    const mine = join(directory, 'failed', 'README');
    writeFileSync(mine, 'x');
    writeFileSync(join(directory, 'failed', 'a.failed.unfinished'), 'x');
    await failed.save(facts(1), [Buffer.from('\r\n')]);
    expect(readdirSync(join(directory, 'failed'))).toHaveLength(3);
  });
});

describe('a file that was not saved here', () => {
  it.each([
    ['text', 'From a\n', /its first line is not JSON/],
    ['nothing', '', /its first line is not JSON/],
    ['a newer version', '{"format":2}\n', /needs a newer version/],
    ['other JSON', '{"format":1,"sender":[]}\n', /is no message that was saved/],
    ['null', 'null\n', /is no message that was saved/],
  ])('is refused: %s', async (_, text, message) => {
    const path = join(directory, 'file');
    writeFileSync(path, text);
    await expect(replay(Noting, path)).rejects.toThrow(errorWith({ code: 'ERR_MILTER_ARCHIVE', message }));
  });
});
