/** Options that there are not: a misspelt one is refused, since it would have no effect. */
import { afterEach, describe, expect, it } from '@jest/globals';
import * as Milter from 'tsmilter';
import { ArcSealer } from 'tsmilter/arc';
import { AddrCache } from 'tsmilter/cache';
import { MilterConfigParser } from 'tsmilter/config';
import { DkimSigner } from 'tsmilter/dkim';
import { DnsSession } from 'tsmilter/dns';
import { checkIp } from 'tsmilter/dnsbl';
import { createMsg, sendDsn } from 'tsmilter/dsn';
import { Greylist, RedisStore, SqliteStore } from 'tsmilter/greylist';
import * as lowlevel from 'tsmilter/lowlevel';
import { defang, defangStream, MimeMessage, messageFromFile, zipnames } from 'tsmilter/mime';
import { AccessMap } from 'tsmilter/policy';
import { checkSpf } from 'tsmilter/spf';
import { MtaSession, TestCtx } from 'tsmilter/testing';
import { iniplist, unsign } from 'tsmilter/utils';
import { SETTINGS } from '#lib/cli/run/settings.js';
import { suggestName } from '#lib/internal/suggestions.js';
import { normaliseMainOptions, normaliseSocketOptions } from '#lib/runtime/options.js';
import { errorWith } from '../support/expect';

const refused = (message: RegExp) => ({ name: 'MilterError', code: 'ERR_MILTER_BAD_ARGUMENT', message });

describe('runmilter', () => {
  afterEach(() => {
    Milter.setFactory(null);
  });
  const run = (options: object) =>
    Milter.runmilter('options', 'unix:/nowhere/sock', options as Milter.RunOptions);

  for (const [key, meant] of [
    ['timeOut', 'timeout'],
    ['handler_timeout', 'handlerTimeout'],
    ['drainTimout', 'drainTimeout'],
    ['onlistening', 'onListening'],
    ['worker', 'workers'],
    ['Factory', 'factory'],
  ] as const) {
    it(`${key} is refused: ${meant} was meant`, async () => {
      const message = new RegExp(
        `^runmilter has no option ${key}; did you mean ${meant}\\? \\(its options: factory, `,
      );
      await expect(run({ factory: Milter.Base, [key]: 1 })).rejects.toThrow(errorWith(refused(message)));
      expect(Milter.setFactory(null)).toBeNull();
    });
  }

  it('a name unlike all options is refused with the list of options', async () => {
    await expect(run({ factory: Milter.Base, colour: undefined })).rejects.toThrow(
      errorWith(
        refused(
          /^runmilter has no option colour \(its options: factory, timeout, .*, signals, .*, resourceLimits\)$/,
        ),
      ),
    );
  });

  it('rejects options that are not an object', async () => {
    class Filter extends Milter.Base {}
    await expect(run(Filter)).rejects.toThrow(
      errorWith(refused(/the options must be an object, not function/)),
    );
    await expect(run(null as never)).rejects.toThrow(
      errorWith(refused(/the options must be an object, not null/)),
    );
    await expect(run(240 as never)).rejects.toThrow(
      errorWith(refused(/the options must be an object, not number/)),
    );
  });

  it.each([
    [{ signals: 'no' }, /^signals must be true or false, not "no"$/],
    [{ signals: null }, /^signals must be true or false, not null$/],
    [{ immediate: 'no' }, /^immediate must be true or false/],
    [{ immediate: 0 }, /^immediate must be true or false, not 0$/],
    [{ systemd: 'no' }, /^systemd must be true or false/],
    [{ removeSocket: 'no' }, /^removeSocket must be true or false/],
    [{ removeSocket: 0 }, /^removeSocket must be true or false/],
    [{ onListening: 'x' }, /^onListening must be a function, not "x"$/],
    [{ onListening: null }, /^onListening must be a function, not null$/],
    [{ reload: 'x' }, /^reload must be a function/],
    [{ owner: {} }, /^owner must be a string/],
    [{ timeout: Object.create(null) }, /^timeout must be a whole number .* not an object$/],
    [{ uncaughtErrors: [Symbol()] }, /^uncaughtErrors must be 'exit' or 'report', not an array$/],
  ])('refuses a value of another kind: %j', async (options, message) => {
    await expect(run({ factory: Milter.Base, ...options })).rejects.toThrow(errorWith(refused(message)));
  });

  it('accepts every option', async () => {
    const all: Required<Omit<Milter.RunOptions, 'module' | 'workers' | 'resourceLimits'>> = {
      factory: Milter.Base,
      timeout: 1,
      backlog: 1,
      debug: 0,
      onListening: () => {},
      logger: false,
      logFormat: 'text',
      logLevel: 'info',
      metrics: 'inet:0',
      handlerTimeout: 1,
      progressInterval: 1,
      immediate: true,
      maxBuffered: 1,
      drainTimeout: 1,
      uncaughtErrors: 'report',
      signals: false,
      systemd: false,
      reload: () => {},
      removeSocket: false,
      mode: 0o600,
      owner: 0,
      group: 0,
    };
    await expect(run(all)).rejects.toThrow(errorWith({ code: 'ENOENT' }));
  });
});

it('tsmilter run tells the defaults that runmilter has', () => {
  const defaults: Record<string, unknown> = { ...normaliseMainOptions({}), ...normaliseSocketOptions({}) };
  const told = Object.entries(SETTINGS).flatMap(([name, { about, parse }]) => {
    const [, text] = /default: ([\w.]+)/.exec(about) ?? [];
    return text === undefined || !(name in defaults) ? [] : [[name, parse(text)]];
  });
  expect(told).toHaveLength(5);
  expect(defaults).toMatchObject(Object.fromEntries(told));
});

describe('other functions with options', () => {
  it('tsmilter/lowlevel', async () => {
    const wrong = { imediate: true } as object;
    expect(() => lowlevel.register('options', wrong)).toThrow(
      errorWith(refused(/^register has no option imediate/)),
    );
    expect(() => lowlevel.opensocket(true, wrong)).toThrow(
      errorWith(refused(/its options: mode, owner, group/)),
    );
    await expect(lowlevel.main(wrong)).rejects.toThrow(
      errorWith(refused(/^main has no option imediate; did you mean immediate\?/)),
    );
  });

  it('refuse a value of another kind', async () => {
    const no = 'no' as never;
    expect(() => lowlevel.opensocket(no)).toThrow(errorWith({ code: 'ERR_MILTER_NOT_REGISTERED' }));
    lowlevel.setconn('unix:/nowhere/sock');
    expect(() => lowlevel.opensocket(no)).toThrow(errorWith(refused(/^removeSocket must be true or false/)));
    await expect(lowlevel.main({ signals: no })).rejects.toThrow(
      errorWith(refused(/^signals must be true or false/)),
    );
    const before = Milter.setFlags(Milter.CURR_ACTS);
    for (const flags of ['ADDHDRS', undefined, null, -1, 1n, 0.5, Milter.CURR_ACTS + 1]) {
      expect(() => Milter.setFlags(flags as never)).toThrow(
        errorWith(refused(/^setFlags: the sum of the rights must be a whole number from 0 to 511/)),
      );
    }
    expect(Milter.setFlags(before)).toBe(Milter.CURR_ACTS);
    expect(() => Milter.setErrorHook('x' as never)).toThrow(
      errorWith(refused(/^the error hook must be a function or null/)),
    );
    expect(Milter.setErrorHook(null)).toBeNull();
  });

  it.each([
    [
      { macros: { mail: { i: 'Q' } } },
      /^TestCtx: macros: mail is not one of the steps connect, helo, envfrom/,
    ],
    [{ macros: { envfrom: 'i' } }, /^TestCtx: macros: envfrom must be an object, not "i"$/],
    [{ macros: { envfrom: { i: 1 } } }, /^TestCtx: macros: i of envfrom must be a string or bytes, not 1$/],
    [{ macros: 'i' }, /^TestCtx: macros must be an object/],
    [{ version: '6' }, /^version must be a whole number/],
    [{ actions: -1 }, /^actions must be a whole number/],
    [{ protocol: 2 ** 32 }, /^protocol must be a whole number/],
    [{ immediate: 'no' }, /^immediate must be true or false/],
    [{ negotiate: 'no' }, /^negotiate must be true or false/],
    [{ honourSymlists: 1 }, /^honourSymlists must be true or false/],
    [{ errorHook: 'x' }, /^errorHook must be a function/],
    [{ hostname: 5 }, /^hostname must be a string/],
    [{ name: {} }, /^name must be a string/],
    [{ chunkSize: '5' }, /^chunkSize must be a whole number/],
  ])('TestCtx refuses %j', (options, message) => {
    expect(() => new TestCtx(Milter.Base, options as object)).toThrow(errorWith(refused(message)));
  });

  it.each([
    [
      { macros: { envfrom: { i: 'Q' } } },
      /^MtaSession: macros: envfrom is not one of the steps .*mail, rcpt/,
    ],
    [{ version: '6' }, /^version must be a whole number/],
    [{ negotiate: 'no' }, /^negotiate must be true or false/],
    [{ retry: 'no' }, /^retry must be true or false/],
  ])('MtaSession refuses %j', async (options, message) => {
    await expect(MtaSession.open('unix:/nowhere/sock', options as object)).rejects.toThrow(
      errorWith(refused(message)),
    );
  });

  const no = 'no' as never;
  const flags: Readonly<Record<string, () => unknown>> = {
    'DkimSigner: leadingSpace': () => new DkimSigner({ keys: [], leadingSpace: no }),
    'DkimSigner: bodyLength': () => new DkimSigner({ keys: [], bodyLength: no }),
    'ArcSealer: leadingSpace': () => new ArcSealer({ leadingSpace: no } as never),
    'ArcSealer: utf8': () => new ArcSealer({ utf8: no } as never),
    'sendDsn: tls': () => sendDsn('a@x.example', '\n', { tls: no }),
    'sendDsn: privateHosts': () => sendDsn('a@x.example', '\n', { privateHosts: no }),
    'dnsbl: reasons': () => checkIp('192.0.2.1', [], { reasons: no }),
    'Greylist: foldSenders': () => new Greylist(':memory:', { foldSenders: no }),
  };
  for (const [flag, call] of Object.entries(flags)) {
    it(`${flag} is true or false`, async () => {
      await expect((async () => call())()).rejects.toThrow(
        errorWith(refused(new RegExp(`^${flag} must be true or false, not "no"$`))),
      );
    });
  }

  const misspelt = { [Symbol.iterator]: 1, imeout: 1, maxLookup: 1 } as object;
  const callers: Readonly<Record<string, () => unknown>> = {
    TestCtx: () => new TestCtx(Milter.Base, misspelt),
    MtaSession: () => MtaSession.open('unix:/nowhere/sock', misspelt),
    DnsSession: () => new DnsSession(misspelt),
    checkSpf: () => checkSpf({ ip: '192.0.2.1', sender: 'a@x.example', helo: 'x.example' }, misspelt),
    AddrCache: () => new AddrCache(misspelt),
    AccessMap: () => AccessMap.open('/nowhere/access', misspelt),
    MilterConfigParser: () => new MilterConfigParser({}, misspelt),
    createMsg: () => createMsg('\n', { to: 'ann@example.com', ...misspelt }),
    sendDsn: () => sendDsn('ann@example.com', null, misspelt),
    Greylist: () => new Greylist('/nowhere/grey.db', misspelt),
    SqliteStore: () => new SqliteStore('/nowhere/grey.db', misspelt),
    RedisStore: () => new RedisStore(misspelt),
    iniplist: () => iniplist('192.0.2.1', [], misspelt),
    unsign: () => unsign('ann@example.com', misspelt),
  };
  for (const [name, call] of Object.entries(callers)) {
    it(name, async () => {
      await expect(async () => call()).rejects.toThrow(
        errorWith(refused(new RegExp(`^${name} has no option imeout`))),
      );
    });
  }
});

it('a mode in decimal is refused with the octal number that was meant', () => {
  expect(() => normaliseSocketOptions({ mode: 660 })).toThrow(
    errorWith({
      code: 'ERR_MILTER_BAD_ARGUMENT',
      message: 'mode must not be 660, a decimal number: write 0o660',
    }),
  );
  expect(() => normaliseSocketOptions({ mode: 999 })).toThrow(
    errorWith({ message: /from 0 to 511, not 999/ }),
  );
  expect(normaliseSocketOptions({ mode: 0o660 }).mode).toBe(0o660);
});

describe('suggestName', () => {
  it('returns the most similar name, or none if too many letters differ', () => {
    const known = ['mode', 'module', 'timeout', 'handlerTimeout'];
    expect(suggestName('modul', known)).toBe('module');
    expect(suggestName('mod', known)).toBe('mode');
    expect(suggestName('TIMEOUT', known)).toBe('timeout');
    expect(suggestName('time', known)).toBeUndefined();
    expect(suggestName('', known)).toBeUndefined();
    expect(suggestName('timeout'.repeat(1000), known)).toBeUndefined();
  });
});

describe('tsmilter/mime', () => {
  const bytes = Buffer.from('Subject: x\r\n\r\ntext\r\n');
  const slip = (where: string) =>
    refused(new RegExp(`^${where} has no option maxdepth; did you mean maxDepth\\?`));
  const wrong = { maxdepth: 5 } as object;

  it('a misspelt limit is refused by every function with limits', async () => {
    expect(() => MimeMessage.from(bytes, wrong)).toThrow(errorWith(slip('MimeMessage.from')));
    await expect(async () => messageFromFile(bytes, wrong)).rejects.toThrow(
      errorWith(slip('messageFromFile')),
    );
    await expect(async () => zipnames(bytes, wrong)).rejects.toThrow(errorWith(slip('zipnames')));
    const message = MimeMessage.from(bytes);
    await expect(async () => message.getnames(true, wrong)).rejects.toThrow(errorWith(slip('getnames')));
    await expect(defang(message, wrong)).rejects.toThrow(errorWith(slip('defang')));
    expect(() => defangStream(bytes, wrong)).toThrow(errorWith(slip('defangStream')));
  });

  it('known options are accepted', async () => {
    expect(await defang(MimeMessage.from(bytes, { maxDepth: 5 }), { maxDepth: 4, scanZip: true })).toBe(
      false,
    );
  });
});
