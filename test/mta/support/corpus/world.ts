/** The world of the corpus: networks of clients, a zone of DNS, keys, and the configuration of the filter. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { Records, Zone } from '../../../../tools/dns-server';
import { clients, type Sections } from '../guard-fixture';

/** Networks of clients, of 9 addresses each, and the name that each client of a network gives itself. */
export const networks = {
  inside: { prefix: '127.0.1', helo: 'desk.ours.test' },
  relay: { prefix: '127.0.2', helo: 'mx2.ours.test' },
  friend: { prefix: '127.0.3', helo: 'mail.friend.example' },
  localhost: { prefix: '127.0.4', helo: 'mail.friend.example' },
  dynamic: { prefix: '127.0.5', helo: 'home.dynamic.example' },
  banned: { prefix: '127.0.6', helo: 'mail.friend.example' },
  listed: { prefix: '127.0.7', helo: 'mail.friend.example' },
  bank: { prefix: '127.0.31', helo: 'mail.bank.example' },
  esp: { prefix: '127.0.32', helo: 'out.esp.example' },
  lists: { prefix: '127.0.33', helo: 'lists.example' },
  /** Its servers have a name and nothing else. */
  plain: { prefix: '127.0.34', helo: 'mail.plain.example' },
  dictionary: { prefix: '127.0.40', helo: 'mail.dictionary.example' },
} as const;

export const USER_CLIENT = clients.user;
/** Our mail server, which may send bounces. */
export const OUR_SERVER = '127.0.1.9';

const HOSTS = 250;
const pair = (type: 'rsa' | 'ed25519'): { key: KeyObject; record: string } => {
  const { privateKey, publicKey } =
    type === 'rsa' ? generateKeyPairSync('rsa', { modulusLength: 2048 }) : generateKeyPairSync('ed25519');
  const spki = publicKey.export({ format: 'der', type: 'spki' });
  const p = (type === 'rsa' ? spki : spki.subarray(-32)).toString('base64');
  return { key: privateKey, record: `v=DKIM1; k=${type}; p=${p}` };
};
const rsa = pair('rsa');
const ed25519 = pair('ed25519');
const seal = pair('rsa');

/** Keys by selector; that of `stolen` is not the one in DNS, and `gone` and `revoked` have none there. */
export const keys = {
  r: rsa.key,
  e: ed25519.key,
  stolen: seal.key,
  gone: rsa.key,
  revoked: rsa.key,
} as const;
export const SEAL_KEY = seal.key;

/** A string in DNS has 255 bytes; a key is longer. */
const txt = (record: string): Records => ({ TXT: [record.match(/.{1,255}/g) ?? []] });
const spf = (record: string): Records => txt(`v=spf1 ${record}`);
const allows = (network: keyof typeof networks): Records => spf(`ip4:${networks[network].prefix}.0/24 -all`);
const dmarc = (domain: string, policy: string): Zone => ({
  [`_dmarc.${domain}`]: txt(`v=DMARC1; ${policy}`),
});
const dkim = (domain: string): Zone => ({
  [`r._domainkey.${domain}`]: txt(rsa.record),
  [`e._domainkey.${domain}`]: txt(ed25519.record),
  [`stolen._domainkey.${domain}`]: txt(rsa.record),
  [`revoked._domainkey.${domain}`]: txt('v=DKIM1; p='),
});
const ptrName = (address: string) => `${address.split('.').reverse().join('.')}.in-addr.arpa`;

function pointers(network: keyof typeof networks, hosts: number, name: (host: number) => string): Zone {
  const addresses = Array.from({ length: hosts }, (_, at) => at + 1);
  return Object.fromEntries(
    addresses.map((host) => [ptrName(`${networks[network].prefix}.${host}`), { PTR: [name(host)] }]),
  );
}
const named = (network: keyof typeof networks, hosts = 9): Zone =>
  pointers(network, hosts, () => networks[network].helo);

export const zone: Zone = {
  ...named('friend'),
  ...named('banned'),
  ...named('listed'),
  ...named('bank'),
  ...named('esp'),
  ...named('lists'),
  ...named('plain'),
  ...named('dictionary', HOSTS),
  ...pointers('localhost', 9, (host) => (host % 2 === 0 ? 'localhost' : 'localhost.localdomain')),
  // Odd ones have no name at all.
  [ptrName('127.0.5.2')]: { PTR: ['dsl-5-2.provider.example'] },
  [ptrName('127.0.5.4')]: { PTR: ['127-0-5-4.provider.example'] },
  [ptrName('127.0.5.6')]: { PTR: ['pool6.provider.example'] },
  [ptrName('127.0.5.8')]: { PTR: ['7f000508.provider.example'] },
  ...Object.fromEntries(
    Array.from({ length: 9 }, (_, at) => [`${at + 1}.7.0.127.bl.test`, { A: ['127.0.0.2'] }]),
  ),
  'friend.example': allows('friend'),
  'plain.example': { A: ['127.0.34.200'] },
  'mail.plain.example': { A: ['127.0.34.1'] },
  'esp.example': allows('esp'),
  'lists.example': allows('lists'),
  'watched.example': allows('friend'),
  'trusted.example': spf(`ip4:${networks.friend.prefix}.0/24 ip4:${networks.dynamic.prefix}.0/24 -all`),
  'known.example': allows('friend'),
  'ours.test': allows('inside'),
  'fail.example': spf('-all'),
  'partner.fail.example': spf('-all'),
  'fail-helo.example': spf('-all'),
  'soft.example': spf('~all'),
  'refused.soft.example': spf('~all'),
  'neutral.example': spf('?all'),
  'wrong.example': spf('nonsense:x -all'),
  'down.example': { fault: 'SERVFAIL' },
  'bank.example': allows('bank'),
  ...dkim('bank.example'),
  ...dmarc('bank.example', 'p=reject'),
  'shop.example': allows('bank'),
  ...dkim('shop.example'),
  ...dmarc('shop.example', 'p=quarantine'),
  'club.example': allows('friend'),
  ...dkim('club.example'),
  ...dmarc('club.example', 'p=none'),
  's._domainkey.lists.example': txt(seal.record),
  's._domainkey.otherlists.example': txt(seal.record),
};

export const USERS = Array.from({ length: 50 }, (_, at) => `user${at}@dest.test`);
export const HONEYPOT = 'trap@dest.test';
export const PRIVATE = 'private@dest.test';
export const SIGNED = 'signed@dest.test';
export const ALIAS = { from: '@watched.example', to: 'old@dest.test', instead: 'new@dest.test' } as const;
export const COPY = { to: 'board@dest.test', copy: 'journal@dest.test' } as const;
export const SRS = { domain: 'dest.test', secret: 'a secret of ours' } as const;

export const CHARSETS = ['gb2312', 'big5', 'koi8-r'] as const;
export const SUBJECT_WORDS = ['lottery', 'you have won'] as const;
export const FROM_WORDS = ['casino'] as const;

/** Files beside the configuration, by name. */
export const files: Readonly<Record<string, string>> = {
  users: [...USERS, HONEYPOT, PRIVATE, SIGNED, ALIAS.to, COPY.to].join('\n'),
  access: [
    'SPF-Pass:trusted.example OK',
    'SPF-Fail:partner.fail.example CONTINUE',
    'SPF-Softfail:refused.soft.example REJECT',
    '',
  ].join('\n'),
};

/** The mode of every rule that the corpus is about. */
export const sections: Sections = {
  banned_ips: { mode: 'reject', networks: `${networks.banned.prefix}.0/24` },
  ptr_localhost: { mode: 'reject' },
  dynamic_ptr: { mode: 'tag' },
  dnsbl: { mode: 'reject' },
  helo_missing: { mode: 'reject' },
  helo_numeric: { mode: 'reject' },
  helo_own_name: { mode: 'reject' },
  clients: {
    internal_connect: `${networks.inside.prefix}.0/24`,
    trusted_relay: `${networks.relay.prefix}.0/24`,
  },
  internal_sender: { mode: 'reject' },
  internal_null_sender: { mode: 'reject', internal_mta: OUR_SERVER },
  auth_sender: { mode: 'reject' },
  spoofed_sender: { mode: 'reject' },
  banned_senders: { mode: 'reject', senders: 'eve@spam.example, *.bulk.example, known.example:!pass' },
  spf: { mode: 'reject', softfail: 'tag', access_file: 'access' },
  reputation: { mode: 'tag' },
  max_demerits: { mode: 'reject' },
  private_relay: { mode: 'reject', recipients: PRIVATE },
  honeypot: { mode: 'reject', recipients: HONEYPOT },
  signed_bounce: { mode: 'reject', domain: SRS.domain, signed: SIGNED },
  known_users: { mode: 'reject', domains: '@dest.test', users: 'file:users' },
  greylist: { mode: 'defer', clients: 'dynamic', delay: '0', auto_whitelist: '0' },
  subject_words: { mode: 'tag', words: SUBJECT_WORDS.join(', ') },
  from_words: { mode: 'tag', words: FROM_WORDS.join(', ') },
  unreadable_charset: { mode: 'quarantine', charsets: CHARSETS.join(', ') },
  supply_sender: { mode: 'tag' },
  dmarc: { mode: 'reject', trusted_sealers: 'lists.example' },
  dangerous_content: { mode: 'tag' },
  smart_alias: { mode: 'tag', aliases: `${ALIAS.from} ${ALIAS.to}: ${ALIAS.instead}` },
  blind_copy: { mode: 'tag', recipients: COPY.to, copy_to: COPY.copy },
};
