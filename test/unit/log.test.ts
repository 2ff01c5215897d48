/** The log: options, lines, what handlers write, and what is known of a message at its end. */
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, jest } from '@jest/globals';
import pino from 'pino';
import * as Milter from 'tsmilter';
import { TestCtx } from 'tsmilter/testing';
import { ENVFROM, EOM } from '#lib/addon/steps.js';
import { EntryLogger, type LogEntry } from '#lib/log/entry-logger.js';
import { completeLogger, levelOf } from '#lib/log/given-logger.js';
import { lineFormat } from '#lib/log/line-format.js';
import { isJournal } from '#lib/log/log-stream.js';
import { type LogOptions, normaliseLogOptions } from '#lib/log/options.js';
import { WorkerLog, type WorkerLogItem } from '#lib/log/worker-log.js';
import { FollowedSession } from '#lib/session/followed-session.js';
import { SessionIdentity } from '#lib/session/session-identity.js';
import { privateDirectory, removeDirectory } from '../../tools/private-directory';
import { projectRoot } from '../../tools/project-root';
import { errorWith } from '../support/expect';

const entry = (fields: Record<string, unknown>, text = 'text', level: LogEntry['level'] = 'info') => ({
  level,
  time: Date.UTC(2026, 0, 2, 3, 4, 5, 6),
  fields,
  text,
});

/** A logger that keeps what it gets. */
function keeping() {
  const entries: LogEntry[] = [];
  return { entries, logger: new EntryLogger((one) => entries.push(one), 'trace') };
}

describe('options', () => {
  it('default to text of level info on stderr', () => {
    expect(normaliseLogOptions({})).toStrictEqual({ logger: null, format: 'text', level: 'info' });
  });

  it.each([
    [{ logFormat: 'xml' }, /logFormat must be 'text' or 'json', not xml/],
    [{ logLevel: 'loud' }, /logLevel must be one of trace, debug, info, warn, error, fatal, not loud/],
    [{ logger: true }, /logger must be false, a pino logger, or an object with its methods: debug/],
    [{ logger: null }, /logger must be false/],
    [{ logger: { ...console, warn: 1 } }, /warn is not a function of it/],
    [{ logger: console, logFormat: 'json' }, /logFormat is for the lines on stderr/],
    [{ logger: console, logLevel: 'warn' }, /logLevel is for the lines on stderr/],
  ])('%j is refused', (options, message) => {
    expect(() => normaliseLogOptions(options as unknown as LogOptions)).toThrow(
      errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT', message }),
    );
  });
});

describe('lines', () => {
  const text = lineFormat({ name: 'name', format: 'text', journal: false });
  const json = lineFormat({ name: 'name', format: 'json', journal: false });

  it('text: time, level, name, text and fields', () => {
    const fields = {
      a: 1,
      b: 'x',
      c: 'x y',
      d: '',
      e: 'q"\\',
      f: ['<a@b>', '<c@d>'],
      g: null,
      h: undefined,
      i: { k: [1n] },
    };
    expect(text(entry(fields))).toBe(
      '2026-01-02T03:04:05.006Z info  name: text a=1 b=x c="x y" d="" e="q\\"\\\\" f=<a@b>,<c@d> i="{ k: [ 1n ] }"\n',
    );
  });

  it('an error is told in the first line, and its stack is indented', () => {
    const error = new TypeError('bad\n<3>forged: line');
    const [first, ...others] = text(entry({ err: error, step: 'eom' }, 'failed', 'error')).split('\n');
    expect(first).toBe('2026-01-02T03:04:05.006Z error name: failed err="TypeError: bad" step=eom');
    expect(others.pop()).toBe('');
    expect(others.length).toBeGreaterThan(2);
    for (const line of others) expect(line).toMatch(/^ {4}\S/);
  });

  it('neither an error nor a text can forge a field', () => {
    const forged = 'x queueId=Q1 verdict=accept "';
    const shown = '"x queueId=Q1 verdict=accept \\""';
    expect(text(entry({ n: 1 }, forged))).toContain(` name: ${shown} n=1\n`);
    const [first] = text(entry({ err: new Error(forged), n: 1 }, 'failed')).split('\n');
    expect(first).toContain(`failed err="Error: ${shown.slice(1)} n=1`);
  });

  it('of the journal have the priority in front of each', () => {
    for (const format of ['text', 'json'] as const) {
      const lines = lineFormat({ name: 'name', format, journal: true });
      const written = lines(entry({ err: new Error('a\nb\u2028c\rd') }, 'failed', 'error')).trimEnd();
      for (const line of written.split('\n')) expect(line).toMatch(/^<3>[^<]/);
    }
    const levels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;
    const lines = lineFormat({ name: 'name', format: 'text', journal: true });
    expect(levels.map((level) => lines(entry({}, 'x', level)))).toStrictEqual(
      [7, 7, 6, 4, 3, 2].map((priority) => `<${priority}>name: x\n`),
    );
  });

  it('no character of a text, a field or its name can end the line, steer a terminal, or hide', () => {
    const unsafe: string[] = [];
    for (let code = 0; code <= 0x10ffff; code += code < 0x3000 ? 1 : 97) {
      const char = String.fromCodePoint(code);
      const fields = { [`k${char}`]: `v${char}`, list: [char], deep: { char } };
      for (const format of [text, json]) {
        const line = format(entry(fields, `t${char}`));
        if (!/^[^\p{C}\p{Zl}\p{Zp}]*\n$/u.test(line)) unsafe.push(`U+${code.toString(16)}: ${line}`);
      }
    }
    expect(unsafe).toStrictEqual([]);
  });

  it('JSON keeps the values, whatever is in them', () => {
    const value = 'a"\\\n\u2028\u202e\udcfc\u{e0041}é\x1b';
    const line = json(entry({ value, list: [1n], err: Object.assign(new Error('m'), { code: 'C' }) }));
    expect(JSON.parse(line)).toMatchObject({
      level: 30,
      time: Date.UTC(2026, 0, 2, 3, 4, 5, 6),
      pid: process.pid,
      name: 'name',
      value,
      list: ['1'],
      err: { type: 'Error', message: 'm', code: 'C', stack: expect.stringContaining('log.test') },
      msg: 'text',
    });
  });

  it('what cannot be written as a field does not cost the line', () => {
    const circle: Record<string, unknown> = {};
    circle.circle = circle;
    const hostile = {
      get [Symbol.toStringTag]() {
        throw new Error('no');
      },
    };
    expect(JSON.parse(json(entry({ session: '7', circle, list: [1] })))).toMatchObject({
      session: '7',
      list: [1],
      circle: expect.stringContaining('[Circular'),
      msg: 'text',
    });
    expect(text(entry({ circle, hostile }))).toMatch(/ text circle=.* hostile=.*\n$/);
  });

  it('are cut', () => {
    const long = 'x'.repeat(1e6);
    const many = Object.fromEntries(Array.from({ length: 10_000 }, (_, at) => [`field${at}`, 'x']));
    const bytes = Buffer.alloc(1e6);
    for (const format of [text, json]) {
      expect(format(entry({ long, err: new Error(long) }, long)).length).toBeLessThan(32_768);
      expect(format(entry({ session: '7', bytes, list: [long, long] })).length).toBeLessThan(8_192);
    }
    const line = json(entry({ session: '7', deep: { many, list: [many] } }));
    expect(line.length).toBeLessThan(32_768);
    expect(JSON.parse(line)).toMatchObject({ session: '7', deep: expect.any(String), msg: 'text' });
    expect(json(entry(many)).length).toBeLessThan(65_536);
  });

  it.each([
    ['values', Object.fromEntries(Array.from({ length: 12 }, (_, at) => [`h${at}`, '\x01'.repeat(1024)]))],
    ['arrays', { list: Array.from({ length: 32 }, () => '\u202e'.repeat(1024)) }],
    ['a name', { ['n'.repeat(70_000)]: 1 }],
    ['a name of escapes', { ['\u202e'.repeat(70_000)]: 1 }],
    ['names', Object.fromEntries(Array.from({ length: 40 }, (_, at) => [`\0`.repeat(9_000 + at), 1]))],
    ['an error', { err: new Error('\x01'.repeat(70_000)) }],
  ])('JSON is JSON, with the first field and the text, whatever length its escapes have: %s', (_, fields) => {
    for (const said of ['text', '\x01'.repeat(70_000)]) {
      const line = json(entry({ session: '7', ...fields }, said));
      const { session, msg, ...others } = JSON.parse(line) as { session: string; msg: string };
      expect([session, msg.slice(0, 1000)]).toStrictEqual(['7', said.slice(0, 1000)]);
      expect(Object.keys(others).length).toBeGreaterThan(4); // level, time, pid, name
      expect(line.length).toBeLessThan(65_536);
    }
  });

  it('JSON: an error whose message is no text does not cost the line', () => {
    const err = Object.assign(new Error(), { message: { circle: [] as unknown[] } });
    err.message.circle.push(err);
    expect(JSON.parse(json(entry({ err }, '')))).toMatchObject({ msg: expect.stringContaining('circle') });
  });

  it('JSON: no field takes the place of the level, the time, the process and the name', () => {
    const forged = { level: 10, time: 0, pid: 1, name: 'other', msg: 'forged' };
    expect(JSON.parse(json(entry(forged)))).toMatchObject({
      level: 30,
      time: Date.UTC(2026, 0, 2, 3, 4, 5, 6),
      pid: process.pid,
      name: 'name',
      msg: 'text',
    });
  });

  it('an entry changes nothing of what its logger stands for', () => {
    const entries: LogEntry[] = [];
    const logger = new EntryLogger((one) => entries.push(one), 'info').child({ session: '7' });
    logger.info({ session: 'forged', other: 1 }, 'x');
    expect(entries[0]?.fields).toStrictEqual({ session: '7', other: 1 });
  });

  it('an error alone is its own text', () => {
    const err = new TypeError('bad');
    expect(JSON.parse(json(entry({ err }, '')))).toMatchObject({ msg: 'bad', err: { message: 'bad' } });
    expect(text(entry({ err }, ''))).toMatch(/^\S+ info {2}name err="TypeError: bad"\n/);
  });
});

describe('a logger of the application', () => {
  it('of pino is used itself', () => {
    const logger = pino({ enabled: false });
    expect(completeLogger(logger)).toBe(logger);
    expect(levelOf(pino({ level: 'warn' }))).toBe('warn');
    expect(levelOf(pino({ level: 'silent' }))).toBeNull();
  });

  it('that lacks trace, fatal and child gets them', () => {
    const calls: unknown[][] = [];
    const method =
      (name: string) =>
      (...args: unknown[]) =>
        calls.push([name, ...args]);
    const given = {
      debug: method('debug'),
      info: method('info'),
      warn: method('warn'),
      error: method('error'),
    };
    const logger = completeLogger(given);
    logger.trace('a %s', 'b');
    const child = logger.child({ session: '1' });
    child.fatal({ x: 1 }, 'c');
    child.child({ y: 2 }).info(new Error('d') as object);
    expect(calls).toStrictEqual([
      ['debug', {}, 'a b'],
      ['error', { session: '1', x: 1 }, 'c'],
      ['info', { session: '1', y: 2, err: expect.any(Error) }, ''],
    ]);
  });
});

describe('a worker', () => {
  const settings = { level: 'info', lines: { name: 'name', format: 'text', journal: true } } as const;

  it('sends errors at once, and others together', () => {
    const sent: (readonly WorkerLogItem[])[] = [];
    const log = new WorkerLog(settings, (items) => sent.push(items));
    log.logger.info('one');
    log.logger.debug('not written');
    expect(sent).toStrictEqual([]);
    log.logger.error('two');
    expect(sent).toStrictEqual([
      [
        ['info', '<6>name: one\n'],
        ['error', '<3>name: two\n'],
      ],
    ]);
  });

  it('does not send more than the main thread can write, and says how much is lost', () => {
    const sent: WorkerLogItem[] = [];
    const log = new WorkerLog(settings, (items) => sent.push(...items));
    for (let at = 0; at < 12_000; at++) log.logger.info('entry');
    log.flush();
    expect(sent.length).toBe(10_000);
    log.written(10_000);
    log.flush();
    expect(sent.slice(10_000)).toStrictEqual([['warn', expect.stringContaining('lost=2000')]]);
  });

  it('sends to a logger of the application what a message can carry', () => {
    const sent: WorkerLogItem[] = [];
    const log = new WorkerLog({ level: 'trace', lines: null }, (items) =>
      sent.push(...structuredClone(items)),
    );
    log.logger.info({ good: [1], bad: () => {} }, 'text');
    log.flush();
    expect(sent).toStrictEqual([['info', { fields: { good: [1], bad: '() => { }' }, text: 'text' }]]);
  });
});

it('a log in a file gets every line, and is synced only at its end', () => {
  const directory = privateDirectory('log');
  const file = join(directory, 'stderr');
  const script = `
    const fs = require('node:fs');
    const { fsync } = fs;
    let synced = 0;
    fs.fsync = (...args) => {
      synced++;
      fsync(...args);
    };
    const { LogStream } = require(${JSON.stringify(join(projectRoot, 'dist/log/log-stream.js'))});
    const log = new LogStream(String);
    (async () => {
      for (let at = 0; at < 100; at++) {
        log.write(at + '\\n', true);
        if (at % 3 === 0) await new Promise(setImmediate);
      }
      await log.flush();
      console.log(synced);
    })();
  `;
  const stderr = openSync(file, 'a');
  try {
    const { stdout } = spawnSync(process.execPath, ['-e', script], {
      stdio: ['ignore', 'pipe', stderr],
      encoding: 'utf8',
    });
    expect(stdout).toBe('1\n');
    expect(readFileSync(file, 'utf8')).toBe(Array.from({ length: 100 }, (_, at) => `${at}\n`).join(''));
  } finally {
    closeSync(stderr);
    removeDirectory(directory);
  }
});

describe('the journal', () => {
  it('is recognised by device and inode, and nothing else is', () => {
    for (const stream of [undefined, '', '0:0', 'x']) expect(isJournal(stream)).toBe(false);
  });
});

/** Refuses, fails or accepts as the test's message says. */
class Filter extends Milter.Base {
  override connect(hostname: string): Milter.Answer {
    this.log.debug('connected');
    return hostname === 'bad.example' ? Milter.REJECT : Milter.CONTINUE;
  }

  override envfrom(sender: string): Milter.Answer {
    return sender === '<discard@a.example>' ? Milter.DISCARD : Milter.CONTINUE;
  }

  override envrcpt(recipient: string): Milter.Answer {
    return recipient === '<nobody@b.example>' ? Milter.REJECT : Milter.CONTINUE;
  }

  override async header(_: string, value: string): Promise<Milter.Status> {
    await null;
    if (value === 'bad') this.setreply('554', '5.7.1', 'bad');
    return value === 'bad' ? Milter.REJECT : Milter.CONTINUE;
  }

  override body(): Milter.Answer {
    return Milter.CONTINUE;
  }

  override eom(): Milter.Answer {
    this.setreply('451', '4.7.1', 'not used');
    this.addheader('X-A', 'b');
    this.log.info({ own: true }, 'in eom');
    return Milter.CONTINUE;
  }
}

const MACROS = { envfrom: { i: 'Q1' } };

async function logOf(run: (ctx: TestCtx) => Promise<unknown>): Promise<LogEntry[]> {
  const { entries, logger } = keeping();
  const ctx = new TestCtx(Filter, { logger, macros: MACROS });
  await run(ctx);
  await ctx.close();
  return entries;
}

const messagesOf = (entries: LogEntry[]) =>
  entries.filter(({ text }) => text === 'message').map(({ fields }) => fields);

describe('a message', () => {
  it('is told once, with what is known of it', async () => {
    const entries = await logOf((ctx) => ctx.feedMessage('Subject: x\r\n\r\nhello'));
    expect(messagesOf(entries)).toStrictEqual([
      {
        session: expect.stringMatching(/^\d+$/),
        queueId: 'Q1',
        client: 'localhost[127.0.0.1]',
        from: '<sender@example.com>',
        to: ['<recipient@example.com>'],
        verdict: 'continue',
        step: 'eom',
        changes: ['addheader'],
        bytes: 7, // the last line gets its end
        ms: expect.any(Number),
      },
    ]);
  });

  it.each([
    [
      'refused by its header',
      'Subject: bad\r\n\r\n',
      {},
      { verdict: 'reject', step: 'header', reply: '554 5.7.1 bad' },
    ],
    ['discarded at MAIL', '\r\n', { sender: '<discard@a.example>' }, { verdict: 'discard', step: 'envfrom' }],
    ['without a recipient', '\r\n', { recipients: ['<nobody@b.example>'] }, { verdict: 'abort', refused: 1 }],
  ])('%s', async (_, message, envelope, expected) => {
    const entries = await logOf((ctx) => ctx.feedMessage(message, envelope));
    expect(messagesOf(entries)).toMatchObject([expected]);
  });

  it('the first 20 recipients are named, and all are counted', async () => {
    const recipients = Array.from({ length: 50 }, (_, at) => `<${at}@b.example>`);
    const [fields] = messagesOf(await logOf((ctx) => ctx.feedMessage('\r\n', { recipients })));
    expect(fields).toMatchObject({ to: recipients.slice(0, 20), recipients: 50 });
  });

  it('a session that is refused has a line of its own', async () => {
    const entries = await logOf((ctx) => ctx.connect('bad.example'));
    expect(entries.filter(({ text }) => text === 'session').map(({ fields }) => fields)).toMatchObject([
      { client: 'bad.example[127.0.0.1]', verdict: 'reject', step: 'connect' },
    ]);
  });

  it('gets its verdict although the logger fails', async () => {
    const lines = jest.spyOn(process.stderr, 'write').mockReturnValue(true);
    const fails = () => {
      throw new Error('the disk is full');
    };
    const logger = { debug: () => {}, info: fails, warn: fails, error: fails, isLevelEnabled: () => true };
    class Accepts extends Milter.Base {
      override eom(): Milter.Answer {
        return Milter.ACCEPT;
      }
    }
    try {
      await using ctx = new TestCtx(Accepts, { logger });
      expect((await ctx.feedMessage('\r\n')).verdict).toBe('accept');
      expect(String(lines.mock.calls[0]?.[0])).toMatch(/^the logger has failed: Error: the disk is full/);
    } finally {
      lines.mockRestore();
    }
  });

  it('a handler that times out is told with the verdict in its place', async () => {
    class Hangs extends Milter.Base {
      override eom(): Promise<Milter.Status> {
        return new Promise(() => {});
      }
    }
    const { entries, logger } = keeping();
    const ctx = new TestCtx(Hangs, { logger, handlerTimeout: 20 });
    await ctx.feedMessage('\r\n');
    await ctx.close();
    const told = entries.map(({ text, fields: { verdict, step } }) => [text, verdict, step]);
    expect(told).toStrictEqual([
      ['untrapped exception in eom', undefined, 'eom'],
      ['message', 'tempfail', 'eom'],
    ]);
  });
});

describe('this.log', () => {
  it('carries the session, the client, and the queue id once it is known', async () => {
    const entries = await logOf((ctx) => ctx.feedMessage('\r\n'));
    const [connected, inEom] = entries.filter(({ text }) => text === 'connected' || text === 'in eom');
    const session = connected?.fields.session;
    expect(connected?.fields).toStrictEqual({ session, client: 'localhost[127.0.0.1]' });
    expect(inEom?.fields).toStrictEqual({
      session,
      client: 'localhost[127.0.0.1]',
      queueId: 'Q1',
      own: true,
    });
  });

  it('writes nothing where there is no log, and does not fail after the session has ended', async () => {
    const ctx = new TestCtx(Filter);
    await ctx.feedMessage('\r\n');
    await ctx.close();
    expect(() => (ctx.filter as Filter).log.info('late')).not.toThrow();
  });
});

describe('the queue id', () => {
  it('is that of the last message until another begins', () => {
    let current: string | null = 'Q1';
    const identity = new SessionIdentity(() => current);
    const followed = new FollowedSession(identity, {});
    followed.enter(ENVFROM, [0, 1, '<a@a.example>'], 2);
    followed.enter(EOM, [], 0);
    followed.deciding(EOM, Milter.ACCEPT, false);
    current = null; // the MTA waits for nothing any more
    followed.decided(EOM, Milter.ACCEPT, false);
    expect(identity.facts.queueId).toBe('Q1'); // of a change that could not be written, for example
    followed.enter(ENVFROM, [0, 1, '<b@a.example>'], 2);
    expect(identity.facts.queueId).toBeNull();
  });
});

describe('the error hook', () => {
  it('gets the facts of the session', async () => {
    class Fails extends Filter {
      override eom(): Milter.Answer {
        throw new Error('on purpose');
      }
    }
    const reports: unknown[][] = [];
    const errorHook: Milter.ErrorHook = (error, ...rest) => reports.push([(error as Error).message, ...rest]);
    const ctx = new TestCtx(Fails, { errorHook, macros: MACROS });
    await ctx.connect('evil\n\u2028.example');
    await ctx.feedMessage('\r\n');
    await ctx.close();
    expect(reports).toStrictEqual([
      [
        'on purpose',
        'eom',
        { session: expect.any(String), client: 'evil\\n\\u2028.example[127.0.0.1]', queueId: 'Q1' },
      ],
    ]);
  });
});
