/** SPF checks against a DNS server on loopback: a zone, a client, and what must come of it. */
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { DnsSession } from 'tsmilter/dns';
import { checkSpf, type SpfCheck, type SpfOptions, type SpfQuery, type SpfResultName } from 'tsmilter/spf';
import { DnsServer, type Zone } from '../../tools/dns-server';
import { expectThat } from './expect';

/** What a check begins with where a case says nothing else. */
export const CLIENT: SpfQuery = { ip: '192.0.2.1', helo: 'mail.example.com', sender: 'ann@example.com' };

/** What differs in a case. */
export interface Case extends Partial<SpfQuery> {
  /** Names beside example.com, or in its place. */
  readonly zone?: Zone;
  readonly options?: SpfOptions;
  /** What else must come of it; a pattern stands for a text that it matches. */
  readonly is?: { readonly [field in keyof SpfCheck]?: SpfCheck[field] | RegExp };
  /** What is asked of DNS, in order. */
  readonly asks?: readonly string[];
}

/** What it is about, the record of example.com, the result, and what differs. */
export type Row = readonly [what: string, record: string, result: SpfResultName, rest?: Case];

/** Character-strings of a TXT record hold 255 bytes each. */
export function txt(text: string): string[][] {
  return [text.match(/.{1,250}/gs) ?? ['']];
}

/** What the tests of a file check with; its server is there while they run. */
export class SpfBench {
  #server: DnsServer | undefined;

  constructor() {
    beforeAll(async () => {
      this.#server = await DnsServer.start();
    });
    afterAll(() => this.#server?.close());
  }

  get server(): DnsServer {
    if (!this.#server) throw new Error('the server is there when the first test begins');
    return this.#server;
  }

  /** @param record that of example.com */
  async check(record: string, { zone, options, ip, helo, sender }: Case = {}): Promise<SpfCheck> {
    this.server.zone = { 'example.com': { TXT: txt(record) }, ...zone };
    this.server.queries.length = 0;
    const query = { ip: ip ?? CLIENT.ip, helo: helo ?? CLIENT.helo, sender: sender ?? CLIENT.sender };
    return checkSpf(query, { resolver: this.resolver(), receiver: 'mx.example.net', ...options });
  }

  resolver(): DnsSession {
    return new DnsSession({ servers: [this.server.address], timeout: 150, tries: 1, maxLookups: 1000 });
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
