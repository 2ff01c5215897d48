/** `tsmilter/utils`: iniplist. */
import { createSocket } from 'node:dgram';
import { promises as dns } from 'node:dns';
import { once } from 'node:events';
import { describe, expect, it } from '@jest/globals';
import { iniplist, type NameResolver } from '#lib/utils/index.js';
import { cpuTime } from '../support/cpu-time';
import { errorWith, expectThat } from '../support/expect';

const BAD = { code: 'ERR_MILTER_BAD_ARGUMENT' };

/** @contract 30 */
describe('iniplist without DNS', () => {
  const cases: [string, string[], boolean][] = [
    ['66.179.26.146', ['127.0.0.1', '66.179.26.128/26'], true],
    ['66.179.26.146', ['127.0.0.1', '66.179.26.128/28'], false],
    ['1.2.3.4', [], false],
    ['1.2.3.4', ['0.0.0.0/0'], true],
    ['1.2.3.4', ['1.2.3.4/32'], true],
    ['192.168.0.45', ['192.168.0.*'], true],
    ['192.168.1.45', ['192.168.0.*'], false],
    ['192.168.0.45', ['192.168.*.45'], true],
    ['192.168.0.45', ['192.168.*.46'], false],
    ['192.168.0.45', ['*'], true],
    ['1.2.3.4', ['1.2.3.?'], true],
    ['1.2.3.45', ['1.2.3.?'], false],
    ['1.2.3.4', ['1.2.3.[0-5]'], true],
    ['1.2.3.6', ['1.2.3.[0-5]'], false],
    ['1.2.3.6', ['1.2.3.[!0-5]'], true],
    ['1.2.3.6', ['1.2.3.[6-]'], true],
    ['1.2.3.6', ['1.2.3.[6'], false],
    ['2001:610:779:0:223:6cff:fe9a:9cf3', ['127.0.0.1', '172.20.1.0/24', '2001:610:779::/48'], true],
    ['2001:610:77a::1', ['2001:610:779::/48'], false],
    ['::1', ['0:0:0:0:0:0:0:1'], true],
    ['::1', ['::2/127'], false],
    ['2001:DB8::1', ['2001:db8:*'], true],
    ['fe80::1', ['FE80:*'], true],
    ['::ffff:1.2.3.4', ['1.2.3.4'], true],
    ['1.2.3.4', ['::ffff:1.2.3.4'], true],
    ['1.2.3.4', ['::ffff:1.2.3.0/120'], true],
    ['1.2.4.4', ['::ffff:1.2.3.0/120'], false],
    ['::1.2.3.4', ['1.2.3.4'], false],
    ['::1.2.3.4', ['::102:304'], true],
    ['2001:db8::1.2.3.4', ['2001:db8::102:304/128'], true],
    // an IPv4 network has no IPv6 addresses, nor the other way round; in pymilter it has
    ['::1', ['0.0.0.0/0'], false],
    ['127.0.0.1', ['::/0'], false],
  ];
  for (const [ip, list, expected] of cases) {
    it(`${ip} in ${JSON.stringify(list)}: ${expected}`, () => expect(iniplist(ip, list)).toBe(expected));
  }

  it('accepts any iterable', () => expect(iniplist('1.2.3.4', new Set(['1.2.3.4']))).toBe(true));

  it('throws for an invalid address', () => {
    for (const ip of [
      'bogus',
      '',
      '1.2.3.256',
      '01.2.3.4',
      '1.2.3',
      '0x1.2.3.4',
      '[::1]',
      ' 1.2.3.4',
      undefined,
    ]) {
      expect(() => iniplist(ip as string, ['1.2.3.4'])).toThrow(errorWith(BAD));
    }
  });

  it('an invalid entry throws, even after one that matches', () => {
    const entries = [
      '1.2.3.4/33',
      '1.2.3.4/-1',
      '1.2.3.4/',
      '1.2.3.4/x',
      '1.2.3.4/1/2',
      '::ffff:1.2.3.4/24',
      '::1/129',
      '1.2.3',
      '300.1.2.3/8',
      '1.2.3.*/24',
      '*.example.com',
      '[::1]',
      '2001:bad::g/32',
      '',
      ' 1.2.3.4',
      'a b',
      '-x',
      'mx.example/200',
      `${'x'.repeat(254)}.`,
      7,
    ];
    for (const entry of entries) {
      expectThat(() => iniplist('1.2.3.4', ['1.2.3.4', entry as string]), String(entry)).toThrow(
        errorWith(BAD),
      );
    }
  });

  it('an invalid list throws', () => {
    for (const list of ['1.2.3.4', null, 7]) {
      expect(() => iniplist('1.2.3.4', list as unknown as string[])).toThrow(errorWith(BAD));
    }
  });

  it('a host name throws an error that says to await the result', () => {
    expect(() => iniplist('1.2.3.4', ['1.2.3.4', 'mx.example.com'])).toThrow(
      errorWith({
        ...BAD,
        message: /await iniplist/,
      }),
    );
  });

  it('matches patterns with many stars without backtracking', async () => {
    const run = () => iniplist('1111:1111:1111:1111:1111:1111:1111:1111', [`${'*1'.repeat(30)}f`]);
    expect(await cpuTime(run)).toBeLessThan(10_000);
  });
});

/** Answers from a table; a name that it does not have does not exist. */
function tableResolver(v4: Record<string, string[]>, v6: Record<string, string[]> = {}) {
  const asked: string[] = [];
  const from = (table: Record<string, string[]>, name: string): Promise<string[]> => {
    asked.push(name);
    const found = table[name];
    return found
      ? Promise.resolve(found)
      : Promise.reject(Object.assign(new Error(name), { code: 'ENOTFOUND' }));
  };
  const resolver: NameResolver = { resolve4: (name) => from(v4, name), resolve6: (name) => from(v6, name) };
  return { resolver, asked };
}

/** @contract 30 */
describe('iniplist with host names', () => {
  const { resolver, asked } = tableResolver(
    { 'mx.example': ['192.0.2.1', '192.0.2.200', 'nonsense'], 'a.example.': ['198.51.100.9'] },
    { 'mx.example': ['2001:db8::25'] },
  );
  const cases: [string, string[], boolean][] = [
    ['192.0.2.200', ['mx.example'], true],
    ['192.0.2.2', ['mx.example'], false],
    ['192.0.2.2', ['mx.example/24'], true],
    ['192.0.3.2', ['mx.example/24'], false],
    ['198.51.100.9', ['no.example', 'a.example.'], true],
    ['2001:db8::25', ['mx.example'], true],
    ['2001:db8::26', ['mx.example/64'], true],
    ['2001:db8:1::26', ['mx.example/64'], false],
    ['::ffff:192.0.2.1', ['mx.example'], true],
    ['192.0.2.1', ['no.example', '198.51.100.1'], false],
    ['192.0.2.200', ['mx.example/64'], true],
  ];
  for (const [ip, list, expected] of cases) {
    it(`${ip} in ${JSON.stringify(list)}: ${expected}`, async () => {
      expect(await iniplist(ip, list, { resolver })).toBe(expected);
    });
  }

  it('resolves localhost without DNS', async () => {
    asked.length = 0;
    expect(await iniplist('127.0.0.1', ['localhost'], { resolver })).toBe(true);
    expect(await iniplist('127.0.0.9', ['localhost/24'], { resolver })).toBe(true);
    expect(await iniplist('::1', ['LOCALHOST.'], { resolver })).toBe(true);
    expect(asked).toStrictEqual([]);
  });

  it('does not look up names if another entry matches, or there is none', async () => {
    asked.length = 0;
    expect(await iniplist('192.0.2.1', ['mx.example', '192.0.2.*'], { resolver })).toBe(true);
    expect(await iniplist('192.0.2.1', ['198.51.100.1'], { resolver })).toBe(false);
    expect(asked).toStrictEqual([]);
  });

  it('rejects an invalid address, entry or option', async () => {
    await expect(iniplist('bogus', [], {})).rejects.toThrow(errorWith(BAD));
    await expect(iniplist('1.2.3.4', ['1.2.3'], {})).rejects.toThrow(errorWith(BAD));
    await expect(iniplist('1.2.3.4', [], { timeout: 0 })).rejects.toThrow(errorWith(BAD));
    await expect(iniplist('1.2.3.4', [], { maxAddresses: 0 })).rejects.toThrow(errorWith(BAD));
  });

  it('compares at most maxAddresses addresses of a name', async () => {
    const list = ['mx.example'];
    expect(await iniplist('192.0.2.200', list, { resolver, maxAddresses: 2 })).toBe(true);
    expect(await iniplist('192.0.2.200', list, { resolver, maxAddresses: 1 })).toBe(false);
  });

  it('reports a name whose lookup fails, which then matches nothing', async () => {
    const failing: NameResolver = {
      resolve4: (name) => Promise.reject(Object.assign(new Error(name), { code: 'ESERVFAIL' })),
      resolve6: () => {
        throw new Error('at once');
      },
    };
    const reports: string[] = [];
    const onLookupError = (name: string, error: Error) => reports.push(`${name}: ${error.message}`);
    expect(await iniplist('192.0.2.1', ['bad.example'], { resolver: failing, onLookupError })).toBe(false);
    expect(await iniplist('::2', ['bad.example'], { resolver: failing, onLookupError })).toBe(false);
    expect(await iniplist('192.0.2.1', ['bad.example'], { resolver: failing })).toBe(false);
    expect(await iniplist('192.0.2.1', ['no.example'], { resolver, onLookupError })).toBe(false);
    expect(reports).toStrictEqual(['bad.example: bad.example', 'bad.example: at once']);
  });

  it('passes on an error thrown by onLookupError', async () => {
    const failing: NameResolver = { ...resolver, resolve4: () => Promise.reject(new Error('down')) };
    const onLookupError = () => {
      throw new Error('from the hook');
    };
    await expect(iniplist('192.0.2.1', ['x.example'], { resolver: failing, onLookupError })).rejects.toThrow(
      /from the hook/,
    );
  });

  it('gives up after the timeout, and does not wait for slow look-ups if another name matches', async () => {
    const never = new Promise<string[]>(() => {});
    const slow: NameResolver = {
      resolve4: (name) => (name === 'slow.example' ? never : resolver.resolve4(name)),
      resolve6: () => never,
    };
    const reports: string[] = [];
    const onLookupError = (name: string) => reports.push(name);
    const list = ['slow.example', 'mx.example'];
    expect(await iniplist('192.0.2.1', list, { resolver: slow, onLookupError })).toBe(true);
    expect(reports).toStrictEqual([]);
    expect(await iniplist('192.0.2.9', list, { resolver: slow, onLookupError, timeout: 20 })).toBe(false);
    expect(reports).toStrictEqual(['slow.example']);
  });

  it('accepts a Resolver of node:dns, and gives up on a silent name server', async () => {
    const server = createSocket('udp4').bind(0, '127.0.0.1');
    await once(server, 'listening');
    const real = new dns.Resolver();
    real.setServers([`127.0.0.1:${server.address().port}`]);
    try {
      const reports: string[] = [];
      const options = { resolver: real, timeout: 50, onLookupError: (name: string) => reports.push(name) };
      expect(await iniplist('192.0.2.1', ['mx.example'], options)).toBe(false);
      expect(reports).toStrictEqual(['mx.example']);
    } finally {
      real.cancel();
      server.close();
    }
  });

  it('has a resolver of its own, which does not keep the process alive', async () => {
    expect(await iniplist('192.0.2.1', ['localhost'], {})).toBe(false);
    expect(await iniplist('127.0.0.1', ['localhost'], {})).toBe(true);
  });
});
