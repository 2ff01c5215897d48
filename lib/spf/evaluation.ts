/** Evaluation of SPF records: check_host() of RFC 7208 4. */
import { escapedName } from '../dns/names.js';
import type { Client } from './client.js';
import type { Identity } from './identity.js';
import type { Lookups } from './lookups.js';
import type { MacroLetter, MacroString, MacroValues } from './macro-string.js';
import { matches, type Scope } from './mechanisms.js';
import { checkableDomain, truncatedName } from './names.js';
import { isSpfRecord, readRecord, type SpfRecord } from './record.js';
import type { Settings } from './settings.js';
import { SpfError } from './spf-error.js';
import { quoted } from './text.js';
import type { SpfResultName } from './types.js';
import { ValidatedNames } from './validated-names.js';

/** The result of a record for the client. */
export interface Outcome {
  readonly result: SpfResultName;
  /** The mechanism that matched; null if none did. */
  readonly mechanism: string | null;
  /** The domain of the record, which is a different one after a redirect. */
  readonly domain: string;
  /** The modifier `exp` of the record. */
  readonly exp: MacroString | null;
}

export class Evaluation {
  readonly #identity: Identity;
  readonly #helo: string;
  readonly #client: Client;
  readonly #settings: Settings;
  readonly #lookups: Lookups;
  readonly #names: ValidatedNames;

  constructor(identity: Identity, helo: string, client: Client, settings: Settings, lookups: Lookups) {
    this.#identity = identity;
    this.#helo = helo;
    this.#client = client;
    this.#settings = settings;
    this.#lookups = lookups;
    this.#names = new ValidatedNames(client, lookups, settings.maxPtr);
  }

  /** @throws SpfError for the results temperror and permerror */
  async checkHost(target: string): Promise<Outcome> {
    const domain = checkableDomain(target);
    const record = domain === undefined ? undefined : await this.#recordOf(domain);
    if (domain === undefined || record === undefined) {
      return { result: 'none', mechanism: null, domain: target, exp: null };
    }
    const scope = this.#scopeOf(domain);
    for (const directive of record.directives) {
      if (!(await matches(directive, scope))) continue;
      return { result: directive.result, mechanism: directive.text, domain, exp: record.exp };
    }
    const redirected =
      record.redirect === null ? undefined : await this.#followRedirect(record.redirect, scope);
    return redirected ?? { result: 'neutral', mechanism: null, domain, exp: null };
  }

  /**
   * The values of macros in the record of a domain. DNS is asked for `p` only if it is used.
   *
   * @param purpose `i` has the digits of an IPv6 address in upper case for people, to whom other tools show them so, and in lower
   *     case in names, as in RFC 7208 7.4; DNS does not distinguish the two
   */
  async macros(domain: string, text: MacroString, purpose: 'name' | 'explanation'): Promise<MacroValues> {
    const name = text.uses('p') ? await this.#names.forMacro(domain) : '';
    const { sender, local, domain: origin } = this.#identity;
    const { receiver, maxMacroValue } = this.#settings;
    const short = (part: string, value: string) => (part.length > maxMacroValue ? undefined : value);
    const values: Record<MacroLetter, string | undefined> = {
      s: short(local, sender),
      l: short(local, local),
      o: origin,
      d: domain,
      i: purpose === 'name' ? this.#client.dotted : this.#client.dotted.toUpperCase(),
      p: name,
      h: short(this.#helo, this.#helo),
      v: this.#client.zone,
      c: this.#client.text,
      r: receiver,
      t: String(Math.floor(Date.now() / 1000)),
    };
    return (letter) => values[letter];
  }

  /** @throws SpfError if the syntax is wrong, there are several records (RFC 7208 4.5), or the DNS lookup fails */
  async #recordOf(domain: string): Promise<SpfRecord | undefined> {
    const { maxRecordLength } = this.#settings;
    const [text, ...others] = (await this.#lookups.texts(escapedName(domain))).filter(isSpfRecord);
    if (text === undefined) return undefined;
    if (others.length > 0) throw new SpfError('permerror', `${quoted(domain)} has more than one SPF record`);
    if (text.length > maxRecordLength) {
      const limit = `longer than ${maxRecordLength} characters (maxRecordLength)`;
      throw new SpfError('permerror', `the SPF record of ${quoted(domain)} is ${limit}`);
    }
    return readRecord(text);
  }

  #scopeOf(domain: string): Scope {
    return {
      domain,
      client: this.#client,
      lookups: this.#lookups,
      names: this.#names,
      maxMx: this.#settings.maxMx,
      expand: async (spec) => spec.name(await this.macros(domain, spec, 'name')),
      includes: async (target, term) => (await this.#checkOther(target, term)).result === 'pass',
    };
  }

  /** Follows a redirect (RFC 7208 6.1). @returns undefined if its target cannot be expanded */
  async #followRedirect(redirect: MacroString, scope: Scope): Promise<Outcome | undefined> {
    this.#lookups.countTerm('redirect');
    const target = await scope.expand(redirect);
    return target === undefined ? undefined : this.#checkOther(target, 'redirect');
  }

  /** Checks the target of an include or redirect, which must have a record (RFC 7208 5.2, 6.1). */
  async #checkOther(target: string, term: string): Promise<Outcome> {
    const outcome = await this.checkHost(truncatedName(target));
    if (outcome.result !== 'none') return outcome;
    throw new SpfError('permerror', `${quoted(target)} has no SPF record: ${quoted(term)}`);
  }
}
