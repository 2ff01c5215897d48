/** Findings as results of an Authentication-Results field (RFC 8601 2.7), which are what the log says, too. */
import { arcAuthRes } from 'tsmilter/arc';
import type { AuthResProperty, AuthResResult } from 'tsmilter/authres';
import type { DkimResult } from 'tsmilter/dkim';
import { dmarcAuthRes } from 'tsmilter/dmarc';
import type { SpfCheck } from 'tsmilter/spf';
import type { Envelope, Findings } from './incoming';

/** Signatures that are told one by one: as many as are verified by default. The MTA takes no field of any length. */
const MAX_SIGNATURES = 10;
/** Characters of a value: an address (RFC 5321 4.5.3.1). A longer one is not told. */
const MAX_VALUE = 320;

export function resultsOf({ envelope, spf, dkim, arc, dmarc }: Findings): AuthResResult[] {
  return [
    ...(spf ? [spfResult(spf, envelope)] : []),
    ...dkimResults(dkim),
    ...(arc.result === 'none'
      ? []
      : [arcAuthRes(arc, envelope.ip === null ? {} : { remoteIp: envelope.ip })]),
    ...(dmarc ? [dmarcAuthRes(dmarc)] : []),
  ];
}

const bare = (address: string) => (/^<.*>$/.test(address) ? address.slice(1, -1) : address);

function spfResult({ result, problem }: SpfCheck, { sender, helo }: Envelope): AuthResResult {
  const address = bare(sender);
  const property =
    address === '' ? propertyOf('smtp', 'helo', helo ?? '') : propertyOf('smtp', 'mailfrom', address);
  return { method: 'spf', result, ...(problem !== null && { reason: problem }), properties: [property] };
}

function dkimResults(found: readonly DkimResult[]): AuthResResult[] {
  if (found.length === 0) return [{ method: 'dkim', result: 'none' }];
  const more = found.length - MAX_SIGNATURES;
  const reason = `${more} more signatures`;
  return [
    ...found.slice(0, MAX_SIGNATURES).map(dkimResult),
    ...(more > 0 ? [{ method: 'dkim', result: 'policy', reason }] : []),
  ];
}

function dkimResult(found: DkimResult): AuthResResult {
  const properties = [
    ['d', found.domain],
    ['i', found.identity],
    ['s', found.selector],
    ['a', found.algorithm],
    ['b', found.signaturePrefix],
  ].flatMap(([name, value]) =>
    value === undefined || value.length > MAX_VALUE ? [] : [propertyOf('header', name as string, value)],
  );
  return {
    method: 'dkim',
    result: found.result,
    ...(found.reason !== undefined && { reason: found.reason }),
    properties,
  };
}

function propertyOf(ptype: string, property: string, value: string): AuthResProperty {
  return { ptype, property, value };
}
