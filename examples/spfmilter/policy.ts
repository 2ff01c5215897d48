/** The policy for a result: the access map's for the sender, or else the default. */
import { MTAPolicy, type PolicyMap } from 'tsmilter/policy';
import type { SpfIdentity, SpfResultName } from 'tsmilter/spf';
import { parseAddr } from 'tsmilter/utils';

/** A reply that the administrator has written, `ERROR:5.7.1:"550 text"`. */
export interface OwnReply {
  readonly code: string;
  readonly extended: string;
  readonly text: string;
}

/**
 * OK accepts the sender without further checks. CONTINUE goes on with the next check. REJECT rejects permanently and TEMPFAIL
 * temporarily, with the result of the check as the reply. A custom reply rejects with its own code and text.
 */
export type Policy = 'OK' | 'CONTINUE' | 'REJECT' | 'TEMPFAIL' | OwnReply;

type Results = Readonly<Record<SpfResultName, Policy>>;

const SENDER_DEFAULTS: Results = {
  pass: 'CONTINUE',
  fail: 'REJECT',
  softfail: 'CONTINUE',
  neutral: 'CONTINUE',
  none: 'CONTINUE',
  temperror: 'TEMPFAIL',
  permerror: 'REJECT',
};

/** A wrong HELO name is usually a mistake, so only a `fail` counts: there the domain itself says that the name is forged. */
const HELO_DEFAULTS: Results = {
  ...SENDER_DEFAULTS,
  temperror: 'CONTINUE',
  permerror: 'CONTINUE',
};

const IDENTITIES: Readonly<Record<SpfIdentity, readonly [prefix: string, defaults: Results]>> = {
  mailfrom: ['SPF', SENDER_DEFAULTS],
  helo: ['HELO', HELO_DEFAULTS],
};

const WORDS: ReadonlySet<string> = new Set(['OK', 'CONTINUE', 'REJECT', 'TEMPFAIL']);
/** Sendmail's forms: the extended code before or in the text, with or without quotes. The text is limited to one reply line. */
const OWN_REPLY =
  /^ERROR:(?:([45]\.\d{1,3}\.\d{1,3}):)?\s*("?)(?:([45]\d\d)\s+)?(?:([45]\.\d{1,3}\.\d{1,3})\s+)?([^\s"][\x20-\x7e]{0,399}?)\2$/i;

/** Parses a value of the access map; null if it is not a policy. */
export function readPolicy(value: string): Policy | null {
  const word = value.trim().toUpperCase();
  if (WORDS.has(word)) return word as Policy;
  const [, before, , status, within, text] = OWN_REPLY.exec(value.trim()) ?? [];
  if (text === undefined) return null;
  const extended = before ?? within ?? `${status?.[0] ?? 5}.7.1`;
  const code = status ?? (extended.startsWith('4') ? '451' : '550');
  return code[0] === extended[0] ? { code, extended, text } : null;
}

/** A policy as text for the log. */
export function nameOf(policy: Policy): string {
  return typeof policy === 'string' ? policy : `ERROR:${policy.extended}`;
}

const NOTHING: PolicyMap = { separator: ':', get: () => null };

export class Policies {
  readonly #map: PolicyMap;
  readonly #onInvalidEntry: (message: string) => void;

  /**
   * @param map null applies the defaults to everybody
   * @param onInvalidEntry called for entries that are not a policy; such entries are ignored
   */
  constructor(map: PolicyMap | null, onInvalidEntry: (message: string) => void) {
    this.#map = map ?? NOTHING;
    this.#onInvalidEntry = onInvalidEntry;
  }

  /**
   * The policy for a result of SPF, from `SPF-Fail:user@domain` and so on for a sender, `HELO-Fail:domain` for a HELO name.
   *
   * @param address the sender, or postmaster of the HELO name
   */
  about(identity: SpfIdentity, result: SpfResultName, address: string): Policy {
    const [prefix, defaults] = IDENTITIES[identity];
    const key = `${prefix}-${result[0]?.toUpperCase()}${result.slice(1)}`;
    const value = new MTAPolicy(address, this.#map).getPolicy(key);
    return this.#read(value, `${key}:${address}`) ?? defaults[result];
  }

  /**
   * The policy for an authenticated user who sends as this sender: `SMTP-Auth:user@domain`, `SMTP-Auth:user@` for the other
   * domains of that user; then `SMTP-Auth:domain`, its parents, and `SMTP-Auth:` for all users. The default is OK.
   */
  aboutUser(user: string, sender: string): Policy {
    const [, domain = ''] = parseAddr(sender);
    const own = `${user}@${domain.replace(/\.$/, '')}`;
    const get = (name: string) => this.#map.get(`SMTP-Auth${this.#map.separator}${name}`);
    const value = get(own) ?? get(`${user}@`) ?? new MTAPolicy(own, this.#map).getPolicy('SMTP-Auth');
    return this.#read(value, `SMTP-Auth:${own}`) ?? 'OK';
  }

  #read(value: string | null, key: string): Policy | null {
    if (value === null) return null;
    const policy = readPolicy(value);
    if (policy === null) {
      const forms = 'OK, CONTINUE, REJECT, TEMPFAIL or ERROR:5.7.1:"550 text"';
      this.#onInvalidEntry(
        `the access map has ${JSON.stringify(value)} for ${key}, which is none of ${forms}`,
      );
    }
    return policy;
  }
}
