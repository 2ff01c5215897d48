/** Where an aggregate report may be sent (RFC 9990 4, RFC 7489 7.1). */
import { domainNameOf } from '../dkim/domain.js';
import type { TxtResolver } from '../dkim/index.js';
import { type DmarcUri, tagsOf, urisOf } from './record.js';
import { DnsUnanswered, PolicyRecords } from './tree-walk.js';

/** An address that takes a report. */
export interface ReportDestination {
  readonly address: string;
  /** The largest mail that is wanted, in octets. */
  readonly maxBytes?: number;
}

/** An address that a report is not sent to. */
export interface RefusedDestination {
  readonly uri: string;
  readonly reason: string;
  /** Whether another try may succeed. */
  readonly temporary: boolean;
}

export interface ReportDestinations {
  readonly destinations: readonly ReportDestination[];
  readonly refused: readonly RefusedDestination[];
}

/** Addresses of one report; each outside the domain costs a DNS question. */
const MAX_DESTINATIONS = 5;
const MAILTO = /^mailto:/i;
const MAX_ADDRESS = 254;
/** A local part without quotes (RFC 5322 3.2.3). */
const LOCAL_PART = /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/;

/** Thrown inside this file only: why a URI is refused. */
class Refused extends Error {}

/**
 * The addresses that a domain wants its reports sent to. An address of another organization counts only if that organization
 * publishes that it takes the reports, so that reports cannot be used to flood a third party.
 *
 * @param policyDomain the domain that has published the record
 * @param rua of its record
 */
export async function reportDestinations(
  policyDomain: string,
  rua: readonly DmarcUri[],
  resolver: TxtResolver,
): Promise<ReportDestinations> {
  const records = new PolicyRecords(resolver);
  const destinations: ReportDestination[] = [];
  const refused: RefusedDestination[] = [];
  for (const [index, uri] of rua.entries()) {
    try {
      if (index >= MAX_DESTINATIONS) throw new Refused(`more than ${MAX_DESTINATIONS} addresses`);
      destinations.push(...(await verified(policyDomain, uri, records)));
    } catch (error) {
      if (!(error instanceof Refused || error instanceof DnsUnanswered)) throw error;
      refused.push({ uri: uri.uri, reason: error.message, temporary: error instanceof DnsUnanswered });
    }
  }
  const once = new Map(destinations.map((destination) => [destination.address, destination]));
  return { destinations: [...once.values()], refused };
}

async function verified(
  policyDomain: string,
  uri: DmarcUri,
  records: PolicyRecords,
): Promise<ReportDestination[]> {
  const { address, host } = mailAddress(uri.uri);
  const own = { address, ...(uri.maxBytes === undefined ? {} : { maxBytes: uri.maxBytes }) };
  if (host === policyDomain) return [own];
  const [of, by] = [await records.walk(policyDomain), await records.walk(host)];
  if (of.organizationalDomain === by.organizationalDomain) return [own];
  const texts = await records.texts(`${policyDomain}._report._dmarc.${host}`);
  const consents = texts.flatMap((text) => tagsOf(text) ?? []);
  if (consents.length === 0)
    throw new Refused(`${host} does not publish that it takes reports about this domain`);
  const others = consents.flatMap((tags) => urisOf(tags.get('rua')));
  if (others.length === 0) return [own];
  // The consumer may name another address, of the same host only.
  return others.map(({ uri: other, maxBytes }) => {
    const replaced = mailAddress(other);
    if (replaced.host !== host) throw new Refused(`${host} names an address of another host`);
    return { address: replaced.address, ...(maxBytes === undefined ? {} : { maxBytes }) };
  });
}

/** The address of a `mailto:` URI (RFC 6068). Others are not supported; header fields in it are not used. */
function mailAddress(uri: string): { address: string; host: string } {
  if (!MAILTO.test(uri)) throw new Refused('only mailto: is supported');
  const text = decoded(uri.replace(MAILTO, '').split('?', 1)[0] as string);
  const at = text.lastIndexOf('@');
  const host = domainNameOf(text.slice(at + 1));
  const local = text.slice(0, Math.max(at, 0));
  if (host === undefined || !LOCAL_PART.test(local)) throw new Refused('it is not a mail address');
  const address = `${local}@${host}`;
  if (address.length > MAX_ADDRESS) throw new Refused('the address is too long');
  return { address, host };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new Refused('it is not a URI');
  }
}
