/** Names beyond ASCII: each spelling of a domain is found, and nothing else is taken for it. */
import { describe, expect, it } from '@jest/globals';
import { claimsToBe } from 'tsmilter/authres';
import { checkDmarc } from 'tsmilter/dmarc';
import { AddressList } from 'tsmilter/lists';
import { checkSpf } from 'tsmilter/spf';
import { asciiDomain } from 'tsmilter/utils';
import { addressPattern } from '../../examples/authmilter/pattern';
import { readMailbox } from '../../lib/dsn/mailbox';
import { MAIL, signed, verify, zoneResolver } from '../support/dkim.js';

const NAME = 'bücher.example';
const ASCII = 'xn--bcher-kva.example';

/** Each is the same host as `bücher.example` in a URL, and no domain name. */
const OTHERS = [
  'bücher.example/x',
  'bücher.example?x',
  'bücher.example#x',
  'bücher.example\\x',
  'bücher%2eexample',
  'b%c3%bccher.example',
  'bü\tcher.example',
  `${ASCII}/x`,
  `${ASCII}\\x`,
  'xn--bcher%2dkva.example',
];

describe('asciiDomain', () => {
  it.each([
    ['BÜCHER.example.', ASCII],
    ['bu\u0308cher.example', ASCII],
    ['XN--BCHER-KVA.Example', ASCII],
    ['bücher\u3002example', ASCII],
    ['Example.COM', 'example.com'],
    ['_dmarc.example.com', '_dmarc.example.com'],
    ['', ''],
    ['[192.0.2.1]', '[192.0.2.1]'],
    ['0x7f.1', '0x7f.1'],
    ['\uff11\uff12\uff17.0.0.1', '\uff11\uff12\uff17.0.0.1'],
    ['a\udcffb.example', 'a\udcffb.example'],
    ['xn--ü.example', 'xn--ü.example'],
  ])('%j is compared as %j', (domain, expected) => {
    expect(asciiDomain(domain)).toBe(expected);
  });
});

describe.each(OTHERS)('%j is not taken for bücher.example', (other) => {
  it('in comparisons', async () => {
    expect(asciiDomain(other)).toBe(other);
    expect(claimsToBe(`"${other}"; none`, NAME)).toBe(false);
    expect(readMailbox(`ann@${other}`)).toBeUndefined();
    for (const pattern of [NAME, ASCII]) expect(addressPattern(pattern)(`ann@${other}`)).toBe(false);
    for (const entry of [NAME, ASCII]) {
      using list = await AddressList.open([entry]);
      expect(list.has(`ann@${other}`)).toBe(false);
    }
  });

  it('in signatures, From and SPF', async () => {
    const from = `ann@${other}`;
    const resolver = zoneResolver({ [`_dmarc.${ASCII}`]: [['v=DMARC1; p=reject']] });
    const dkim = [{ result: 'pass', domain: ASCII }] as const;
    expect((await checkDmarc({ from, dkim }, { resolver })).result).not.toBe('pass');
    const none = async () => [];
    const spf = { resolve4: none, resolve6: none, resolveMx: none, reverse: none };
    const asked: string[] = [];
    const resolveTxt = async (name: string) => {
      asked.push(name);
      return [];
    };
    await checkSpf({ ip: '192.0.2.1', helo: 'x', sender: from }, { resolver: { ...spf, resolveTxt } });
    expect(asked.filter((name) => name === ASCII)).toEqual([]);
    const mail = await signed();
    const [name, value] = mail.headers[0] as [string, string];
    const changed = value.replace('d=example.com', `d=${other}`);
    expect(changed).not.toBe(value);
    expect(await verify({ ...mail, headers: [[name, changed], ...MAIL.headers] })).toMatchObject([
      { result: 'permerror', reason: 'd= is not a domain name' },
    ]);
  });
});
