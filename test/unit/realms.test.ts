/** Errors, filters and values that come from another copy of the package, loaded in another realm, as Jest loads modules. */

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import vm from 'node:vm';
import { beforeAll, describe, expect, it } from '@jest/globals';
import * as Milter from 'tsmilter';
import { DnsError } from 'tsmilter/dns';
import { TestCtx } from 'tsmilter/testing';

interface Module {
  exports: unknown;
}

/** A require for a realm: the package's own modules are compiled in it, all others are those of this one. */
function requireIn(context: vm.Context, from: string, loaded = new Map<string, Module>()) {
  const nodeRequire = createRequire(from);
  return (name: string): unknown => {
    if (!name.startsWith('.') && !name.startsWith('tsmilter')) return nodeRequire(name);
    const file = nodeRequire.resolve(name);
    const known = loaded.get(file);
    if (known) return known.exports;
    const module: Module = { exports: {} };
    loaded.set(file, module);
    const names = ['exports', 'require', 'module', '__filename', '__dirname'];
    const run = vm.compileFunction(readFileSync(file, 'utf8'), names, {
      filename: file,
      parsingContext: context,
    });
    run(module.exports, requireIn(context, file, loaded), module, file, dirname(file));
    return module.exports;
  };
}

describe('another copy of the package, in another realm', () => {
  const realm = vm.createContext({
    process,
    Buffer,
    AbortController,
    TextDecoder,
    clearInterval,
    clearTimeout,
  });
  let other: typeof Milter;
  let otherDns: { DnsError: typeof DnsError };
  beforeAll(() => {
    const require = requireIn(realm, __filename);
    other = require('tsmilter') as typeof Milter;
    otherDns = require('tsmilter/dns') as typeof otherDns;
  });

  it('is another copy, in another realm', () => {
    expect(other.MilterError).not.toBe(Milter.MilterError);
    expect(new other.MilterError('ERR_MILTER_WRITE', 'x') instanceof Error).toBe(false);
  });

  it('MilterError and its subclasses: instanceof is true for the objects of both copies', () => {
    for (const [one, two] of [
      [Milter, other],
      [other, Milter],
    ] as const) {
      const plain = new one.MilterError('ERR_MILTER_WRITE', 'x');
      const disabled = new one.DisabledAction('quarantine', 'QUARANTINE');
      expect(plain instanceof two.MilterError).toBe(true);
      expect(disabled instanceof two.MilterError).toBe(true);
      expect(disabled instanceof two.DisabledAction).toBe(true);
      expect(plain instanceof two.DisabledAction).toBe(false);
    }
    expect(new Error('x') instanceof Milter.MilterError).toBe(false);
    expect((null as unknown) instanceof Milter.MilterError).toBe(false);
    type Create = new (...args: string[]) => DnsError;
    const lookup = new (otherDns.DnsError as unknown as Create)('ENODATA', 'MX', 'a.example', 'none');
    expect(lookup instanceof DnsError).toBe(true);
    expect(lookup instanceof Milter.MilterError).toBe(true);
  });

  it('a class that extends MilterError without being shared is known to its own copy only', () => {
    class Mine extends Milter.MilterError {}
    const mine = new Mine('ERR_MILTER_WRITE', 'x');
    expect(mine instanceof Mine).toBe(true);
    expect(mine instanceof other.MilterError).toBe(true);
    expect(new Milter.MilterError('ERR_MILTER_WRITE', 'x') instanceof Mine).toBe(false);
  });

  it('a filter of the other copy is called, with its decorators', async () => {
    class Filter extends other.Base {
      static noreply = ['header'];
      override header() {
        return other.CONTINUE;
      }
      override body(chunk: Buffer) {
        void chunk;
        return other.CONTINUE;
      }
      override eom() {
        this.addheader('X-Seen', 'yes');
        return other.ACCEPT;
      }
    }
    expect(new Filter() instanceof Milter.Base).toBe(true);
    await using ctx = new TestCtx(Filter as unknown as typeof Milter.Base);
    const { verdict, message } = await ctx.feedMessage('Subject: x\n\nbody\n');
    expect(ctx.errors).toEqual([]);
    expect(verdict).toBe('accept');
    expect(message.header('X-Seen')).toEqual(['yes']);
  });

  it('a filter of the other copy is checked as its own are', () => {
    class Misnamed extends other.Base {
      envFrom() {}
    }
    expect(() => Milter.setFactory(Misnamed as never)).toThrow(/has a method envFrom/);
  });

  it('bytes of another realm are a body', async () => {
    const bytes = vm.runInContext('new Uint8Array([104, 105])', realm) as Uint8Array;
    expect(bytes instanceof Uint8Array).toBe(false);
    class Filter extends Milter.Base {
      override eom() {
        this.replacebody(bytes);
        return Milter.ACCEPT;
      }
    }
    await using ctx = new TestCtx(Filter);
    const { message } = await ctx.feedMessage('Subject: x\n\nbody\n');
    expect(ctx.errors).toEqual([]);
    expect(message.body.toString()).toBe('hi');
  });
});
