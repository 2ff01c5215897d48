/** How a sender is authenticated when it says MAIL: by SPF. */
import { readFile } from 'node:fs/promises';
import type { AuthLevel } from 'tsmilter/lists';
import { checkSpf, type SpfCheck, type SpfResolver } from 'tsmilter/spf';
import { ConfigError } from '../shared/config-error';
import type { SessionFacts } from './facts';
import { flag, list, type Option, type Values } from './options';
import { shown } from './shown';

export interface Authentication {
  /** Of the sender; for the null sender, of postmaster at the HELO name. Null for clients of ours, which are not checked. */
  readonly sender: SpfCheck | null;
  /** Of the HELO name, if the sender has not passed; it is the sender's own check for the null sender. */
  readonly helo: SpfCheck | null;
  /** The trusted forwarder whose server the client is, or null. If DNS does not tell whether it is one, no result but a pass counts. */
  readonly forwarder: string | null;
  readonly level: AuthLevel;
}

const MAX_RECORDS = 10_000;
const BEST_GUESS = 'v=spf1 a/24 mx/24 ptr -all';

export const authenticationOptions = {
  trusted_forwarder: list(
    'domains whose servers forward mail without changing the sender; the sender of such mail counts as `pass`',
  ),
  best_guess: flag(
    'a domain without a record is checked as if it allowed its own servers and their neighbours; if that passes, the level is `policy`',
    true,
  ),
  substitutes: records(
    'file of SPF records that count in place of those in DNS, a domain and its record in each line',
  ),
};

export type AuthenticationSettings = Values<typeof authenticationOptions>;

/** Checks a sender. Rejects for a fault of the filter only. */
export async function authenticate(
  { client, helo, dns, host, signal }: SessionFacts,
  sender: string,
  { trusted_forwarder, best_guess, substitutes }: AuthenticationSettings,
): Promise<Authentication> {
  if (client.address === null || (client.class !== 'external' && client.class !== 'dynamic'))
    return { sender: null, helo: null, forwarder: null, level: 'none' };
  const query = { ip: client.address, helo: helo ?? '', sender };
  const options = { receiver: host, signal };
  const resolver = withRecords(dns, substitutes);

  let unknown: SpfCheck | null = null;
  for (const domain of trusted_forwarder) {
    const check = await checkSpf({ ...query, helo: domain }, { ...options, resolver, identity: 'helo' });
    if (check.result === 'pass') return { sender: check, helo: null, forwarder: domain, level: 'pass' };
    if (check.result === 'temperror') unknown = check;
  }
  const check = await checkSpf(query, { ...options, resolver });
  if (unknown !== null && check.result !== 'pass') {
    const { result, problem, explanation } = unknown;
    const sender = { ...check, result, problem, explanation, explainedBy: null };
    return { sender, helo: null, forwarder: null, level: 'temperror' };
  }
  const ofHelo =
    sender === ''
      ? check
      : check.result === 'pass'
        ? null
        : await checkSpf(query, { ...options, resolver, identity: 'helo' });
  const found = { sender: check, helo: ofHelo, forwarder: null };
  if (check.result !== 'none' || !best_guess || check.domain === '') return { ...found, level: check.result };

  const guess = withRecords(dns, new Map([[check.domain.toLowerCase(), BEST_GUESS]]));
  const guessed = await checkSpf(query, { ...options, resolver: guess });
  return { ...found, level: levelOf(guessed) };
}

/** Of the best guess: what DNS does not tell might have passed. */
function levelOf({ result }: SpfCheck): AuthLevel {
  if (result === 'temperror') return 'temperror';
  return result === 'pass' ? 'policy' : 'none';
}

/** A resolver that has records of its own for some domains. */
function withRecords(dns: SpfResolver, own: ReadonlyMap<string, string>): SpfResolver {
  return {
    resolve4: (name) => dns.resolve4(name),
    resolve6: (name) => dns.resolve6(name),
    resolveMx: (name) => dns.resolveMx(name),
    reverse: (ip) => dns.reverse(ip),
    async resolveTxt(name) {
      const record = own.get(name.toLowerCase().replace(/\.$/, ''));
      return record === undefined ? dns.resolveTxt(name) : [[record]];
    },
  };
}

function records(doc: string): Option<ReadonlyMap<string, string>> {
  return {
    doc,
    fallback: '',
    async read(name, context) {
      if (name === '') return new Map();
      const file = context.watch(name);
      const found = new Map<string, string>();
      for (const [at, line] of (await readFile(file, 'latin1')).split(/\r?\n/).entries()) {
        if (line.trim() === '' || line.startsWith('#')) continue;
        const [, domain, record] = /^(\S+)\s+(v=spf1(?:\s.*)?)$/i.exec(line.trim()) ?? [];
        const key = domain?.toLowerCase().replace(/\.$/, '');
        if (key === undefined || record === undefined)
          throw new ConfigError(`${file}:${at + 1}: ${shown(line)} is not a domain and its SPF record`);
        if (found.has(key)) throw new ConfigError(`${file}:${at + 1}: ${key} has a record already`);
        if (found.size >= MAX_RECORDS) throw new ConfigError(`${file}: more than ${MAX_RECORDS} records`);
        found.set(key, record);
      }
      return found;
    },
  };
}
