/** SPF checks with a DNS server on loopback: a zone, a client, and the expected result. */
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { DnsSession } from 'tsmilter/dns';
import {
  checkSpf,
  type SpfCheck,
  type SpfOptions,
  type SpfQuery,
  type SpfResolver,
  type SpfResultName,
} from 'tsmilter/spf';
import { DnsServer, type Zone } from '../../tools/dns-server';
import { TIMEOUT } from '../../tools/wait';
import { expectThat } from './expect';

/** The query of a check, unless a case says otherwise. */
export const CLIENT: SpfQuery = { ip: '192.0.2.1', helo: 'mail.example.com', sender: 'ann@example.com' };

/** What a case changes, and expects. */
export interface Case extends Partial<SpfQuery> {
  /** Names in addition to example.com, or instead of it. */
  readonly zone?: Zone;
  readonly options?: SpfOptions;
  /** Other expected fields of the result; a pattern must match the text. */
  readonly is?: { readonly [field in keyof SpfCheck]?: SpfCheck[field] | RegExp };
  /** The expected DNS queries, in order. */
  readonly asks?: readonly string[];
}

/** The title, the record of example.com, the result, and the rest of the case. */
export type Row = readonly [what: string, record: string, result: SpfResultName, rest?: Case];

/** Character-strings of a TXT record hold 255 bytes each. */
export function txt(text: string): string[][] {
  return [text.match(/.{1,250}/gs) ?? ['']];
}

/** The DNS server and the checks of a test file; the server runs while its tests do. */
export class SpfBench {
  #server: DnsServer | undefined;

  constructor() {
    beforeAll(async () => {
      this.#server = await DnsServer.start();
    });
    afterAll(() => this.#server?.close());
  }

  get server(): DnsServer {
    if (!this.#server) throw new Error('the server starts before the first test');
    return this.#server;
  }

  /** @param record the record of example.com */
  async check(record: string, { zone, options, ip, helo, sender }: Case = {}): Promise<SpfCheck> {
    this.server.zone = { 'example.com': { TXT: txt(record) }, ...zone };
    this.server.queries.length = 0;
    const query = { ip: ip ?? CLIENT.ip, helo: helo ?? CLIENT.helo, sender: sender ?? CLIENT.sender };
    return checkSpf(query, { resolver: this.resolver(), receiver: 'mx.example.net', ...options });
  }

  /** Waits long for an answer, since the machine may be busy, and only briefly for those that the zone never gives. */
  resolver(): SpfResolver {
    const open = (timeout: number) =>
      new DnsSession({ servers: [this.server.address], timeout, tries: 1, maxLookups: 1000 });
    const patient = open(TIMEOUT);
    const impatient = open(50);
    const isSilent = (name: string) => this.server.zone[name]?.fault === 'silence';
    const sessionFor = (name: string) => (isSilent(name) ? impatient : patient);
    const reverseNames = () => Object.keys(this.server.zone).filter((name) => name.endsWith('.arpa'));
    return {
      resolve4: (name) => sessionFor(name).resolve4(name),
      resolve6: (name) => sessionFor(name).resolve6(name),
      resolveMx: (name) => sessionFor(name).resolveMx(name),
      resolveTxt: (name) => sessionFor(name).resolveTxt(name),
      // A zone has the reverse name of one address at most.
      reverse: (ip) => (reverseNames().some(isSilent) ? impatient : patient).reverse(ip),
    };
  }

  /** A test for each row. */
  rows(rows: readonly Row[]): void {
    for (const [what, record, result, rest = {}] of rows) {
      it(`${what}: ${result}`, async () => {
        const check = await this.check(record, rest);
        expectThat(check.result, check.problem ?? check.explanation).toBe(result);
        expect(check.problem !== null).toBe(/error$/.test(result));
        for (const [field, expected] of Object.entries(rest.is ?? {})) {
          const actual = check[field as keyof SpfCheck];
          if (expected instanceof RegExp) expect(String(actual)).toMatch(expected);
          else expectThat(actual, field).toStrictEqual(expected);
        }
        if (rest.asks) expect(this.server.queries).toStrictEqual(rest.asks);
      });
    }
  }
}
