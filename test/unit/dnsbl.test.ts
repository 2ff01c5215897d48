/** tsmilter/dnsbl against a DNS server on loopback. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DnsSession } from 'tsmilter/dns';
import { checkDomain, checkIp, type DnsblList, hostNamesIn, knownCodes, testList } from 'tsmilter/dnsbl';
import { DnsServer, type Zone } from '../../tools/dns-server';
import { cpuTime } from '../support/cpu-time';
import { errorWith, expectThat } from '../support/expect';

const ipv6Name = (last: string) => `${last}.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2`;
const zone: Zone = {
  '2.0.0.127.bl.example': { A: ['127.0.0.2'] },
  '1.2.0.192.bl.example': { A: ['127.0.0.2', '127.0.0.4'], TXT: [['listed, see ', 'https://bl.example/']] },
  [`${ipv6Name('1')}.bl.example`]: { A: ['127.0.0.3'] },
  '7.2.0.192.bl.example': { A: ['127.0.0.99'] },
  '8.2.0.192.bl.example': { A: ['127.0.0.8'] },
  '9.2.0.192.bl.example': { fault: 'SERVFAIL' },
  '1.2.0.192.refusing.example': { A: ['127.255.255.254'] },
  '2.2.0.192.refusing.example': { A: ['127.0.0.1'] },
  '3.2.0.192.refusing.example': { A: ['127.0.0.2', '127.255.255.255'] },
  '1.2.0.192.expired.example': { A: ['198.51.100.7'] },
  '2.2.0.192.expired.example': { A: ['127.0.0.2', '198.51.100.7'] },
  'test.names.example': { A: ['127.0.1.2'] },
  'evil.example.names.example': { A: ['127.0.1.2'] },
  'xn--mnchen-3ya.example.names.example': { A: ['127.0.1.4'] },
  '2.0.0.127.all.example': { A: ['127.0.0.2'] },
  '1.0.0.127.all.example': { A: ['127.0.0.2'] },
};

let server: DnsServer;
beforeAll(async () => {
  server = await DnsServer.start(zone);
});
afterAll(() => server.close());
const session = () => new DnsSession({ servers: [server.address], tries: 1 });

const BL: DnsblList = {
  zone: 'bl.example',
  codes: {
    '127.0.0.2': 'spam source',
    '127.0.0.3': 'spam source',
    '127.0.0.4/30': 'exploited',
    '127.0.0.8': null,
  },
};

describe('checkIp', () => {
  it('says which lists have the address, with what each code means and why', async () => {
    const { listings, failures } = await checkIp('192.0.2.1', [{ zone: 'empty.example' }, BL], {
      dns: session(),
      reasons: true,
    });
    expect(failures).toStrictEqual([]);
    expect(listings).toStrictEqual([
      {
        zone: 'bl.example',
        listed: '192.0.2.1',
        codes: expect.arrayContaining(['127.0.0.2', '127.0.0.4']),
        meanings: expect.arrayContaining(['spam source', 'exploited']),
        reason: 'listed, see https://bl.example/',
      },
    ]);
  });

  it('asks about IPv6 digit by digit, and about IPv4-mapped addresses as IPv4', async () => {
    for (const ip of ['2001:db8::1', '2001:DB8:0:0:0:0:0:1', '::ffff:192.0.2.1']) {
      const { listings } = await checkIp(ip, [BL], { dns: session() });
      expectThat(listings.length, ip).toBe(1);
    }
    const dns = session();
    expect(await checkIp('2001:db8::1', [{ ...BL, families: [4] }], { dns })).toStrictEqual({
      listings: [],
      failures: [],
    });
    expect(dns.lookups).toBe(0);
  });

  it('no listing: no such entry, or a code that is none', async () => {
    for (const ip of ['192.0.2.200', '192.0.2.8', '2001:db8::2']) {
      expectThat(await checkIp(ip, [BL], { dns: session() }), ip).toStrictEqual({
        listings: [],
        failures: [],
      });
    }
  });

  for (const [ip, zone, code, message] of [
    ['192.0.2.1', 'refusing.example', 'EREFUSED', /refuses to answer this resolver: 127\.255\.255\.254/],
    ['192.0.2.2', 'refusing.example', 'EREFUSED', /127\.0\.0\.1/],
    ['192.0.2.3', 'refusing.example', 'EREFUSED', /127\.255\.255\.255/],
    ['192.0.2.1', 'expired.example', 'EBADRESP', /198\.51\.100\.7, which is not in 127\.0\.0\.0\/8/],
    ['192.0.2.2', 'expired.example', 'EBADRESP', /198\.51\.100\.7/],
    ['192.0.2.9', 'bl.example', 'ESERVFAIL', /./],
  ] as const) {
    it(`${ip} on ${zone} is a failure, never a listing`, async () => {
      const { listings, failures } = await checkIp(ip, [{ zone }], { dns: session() });
      expect(listings).toStrictEqual([]);
      expect(failures).toHaveLength(1);
      expect(failures[0]?.zone).toBe(zone);
      expect(failures[0]?.error).toMatchObject({ code, message: expect.stringMatching(message) });
    });
  }

  it('an answer that is not among the codes is a failure', async () => {
    const { listings, failures } = await checkIp('192.0.2.7', [BL], { dns: session() });
    expect([listings.length, failures[0]?.error.code]).toStrictEqual([0, 'EBADRESP']);
    expect((await checkIp('192.0.2.7', [{ zone: 'bl.example' }], { dns: session() })).listings).toHaveLength(
      1,
    );
  });

  it('one list that fails does not keep the others from answering', async () => {
    const lists = [{ zone: 'refusing.example' }, BL, { zone: 'expired.example' }];
    const { listings, failures } = await checkIp('192.0.2.1', lists, { dns: session() });
    expect(listings.map((listing) => listing.zone)).toStrictEqual(['bl.example']);
    expect(failures.map((failure) => failure.zone)).toStrictEqual(['refusing.example', 'expired.example']);
  });

  it('spends the budget of one session', async () => {
    const dns = new DnsSession({ servers: [server.address], tries: 1, maxLookups: 1 });
    const { listings, failures } = await checkIp('192.0.2.1', [BL, { zone: 'empty.example' }], { dns });
    expect(listings.length + failures.length).toBeGreaterThan(0);
    expect(failures.map(({ error }) => error.code)).toStrictEqual(['ERR_MILTER_DNS_LIMIT']);
  });

  it('rejects invalid arguments', async () => {
    const bad = errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT' });
    await expect(checkIp('example.com', [BL])).rejects.toThrow(bad);
    for (const list of [
      { zone: '' },
      { zone: 'a b' },
      { zone: 'bl.example', codes: { '192.0.2.1': 'x' } },
      { zone: 'bl.example', codes: { '127.0.0.1/40': 'x' } },
      { zone: 'bl.example', code: {} } as DnsblList,
    ]) {
      await expectThat(checkIp('192.0.2.1', [list]), JSON.stringify(list)).rejects.toThrow(bad);
    }
  });
});

describe('checkDomain', () => {
  const names: DnsblList = { zone: 'names.example', codes: knownCodes.dbl };
  for (const domain of ['evil.example', 'EVIL.example.', 'mail.evil.example', 'a.b.evil.example']) {
    it(`${domain}, by its own name or that of a parent`, async () => {
      const { listings } = await checkDomain(domain, [names], { dns: session() });
      expect(listings[0]).toMatchObject({ listed: 'evil.example', meanings: ['spam domain'] });
    });
  }

  it('an international domain in both spellings', async () => {
    for (const domain of ['münchen.example', 'xn--mnchen-3ya.example', 'www.MÜNCHEN.example']) {
      const { listings } = await checkDomain(domain, [names], { dns: session() });
      expectThat(listings[0]?.meanings, domain).toStrictEqual(['phishing domain']);
    }
  });

  it('what cannot be a domain is on no list, and nothing is asked', async () => {
    const dns = session();
    for (const domain of [
      '',
      '.',
      'com',
      '..',
      'a..b',
      'a b.example',
      '192.0.2.1',
      '[192.0.2.1]',
      'x\0.example',
      '\udcfc.example',
    ]) {
      expectThat(await checkDomain(domain, [names], { dns }), domain).toStrictEqual({
        listings: [],
        failures: [],
      });
    }
    expect(dns.lookups).toBe(0);
    await checkDomain(`${'a.'.repeat(100)}evil.example`, [names], { dns });
    expect(dns.lookups).toBe(4);
  });
});

describe('testList', () => {
  it('finds lists that are out of service', async () => {
    const dns = session();
    expect(await testList(BL, 'addresses', { dns })).toBeUndefined();
    expect(await testList({ zone: 'names.example' }, 'domains', { dns })).toBeUndefined();
    expect(await testList({ zone: 'all.example' }, 'addresses', { dns })).toMatch(/lists everybody/);
    expect(await testList({ zone: 'empty.example' }, 'addresses', { dns })).toMatch(
      /does not have 127\.0\.0\.2/,
    );
    expect(await testList({ zone: 'empty.example', families: [6] }, 'addresses', { dns })).toMatch(
      /::ffff:7f00:2/,
    );
    expect(await testList({ zone: 'bl.example' }, 'domains', { dns })).toMatch(/does not have test/);
  });
});

describe('hostNamesIn', () => {
  const TEXTS: [string, string[]][] = [
    ['see http://evil.example/path and https://Evil.EXAMPLE.', ['evil.example']],
    ['<a href="https://bank.example@evil.example:8080/?q#f">', ['evil.example']],
    [
      'https:\\\\evil.example\\x http:/two.example/ http:three.example',
      ['evil.example', 'two.example', 'three.example'],
    ],
    ['http://%65vil.example/', ['evil.example']],
    ['http://münchen.example/ http://ｆull.example', ['xn--mnchen-3ya.example', 'full.example']],
    ['www.evil.example, (www.two.example)', ['www.evil.example', 'www.two.example']],
    ['write to bob@mail.example.', ['mail.example']],
    ['http://192.0.2.1/ http://3221225985/ http://[2001:db8::1]/ http://localhost/', []],
    ['http:// https://? ftp:// @ www. nothing.here', []],
  ];
  for (const [text, expected] of TEXTS) {
    it(JSON.stringify(text), () => expect(hostNamesIn(text)).toStrictEqual(expected));
  }

  it('has limits', () => {
    const text = Array.from({ length: 100 }, (_, at) => `http://host${at}.example/`).join(' ');
    expect(hostNamesIn(text)).toHaveLength(20);
    expect(hostNamesIn(text, { maxNames: 30 })).toHaveLength(30);
    expect(hostNamesIn(text, { maxLength: 23 })).toHaveLength(1);
  });

  it('reads hostile text in linear time', async () => {
    for (const unit of ['http:', 'http://', 'www.', '@', '@a', 'http:////////', 'www.a', '%', 'http://a@']) {
      const spent = await cpuTime(() =>
        hostNamesIn(unit.repeat(1_000_000 / unit.length), { maxNames: 1_000_000 }),
      );
      expectThat(spent, unit).toBeLessThan(10_000);
    }
  });
});
