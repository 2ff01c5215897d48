/** Whether a chain is a reason to let a message through that fails DMARC (RFC 8617 7.2.1). */
import { isIP } from 'node:net';
import { domainNameOf } from '../dkim/domain.js';
import { asciiDomain } from '../internal/a-labels.js';
import type { ArcResult, ArcSet } from './types.js';

/** The sealer who says that a message passed DMARC. */
export interface TrustedSealer {
  /** `d=` of its ARC-Seal. */
  readonly domain: string;
  readonly instance: number;
  /** What RFC 8617 7.2.2 wants a DMARC report to say of the chain. */
  readonly comment: string;
}

/**
 * Finds the sealer who is trusted and says that the message passed DMARC for its author's domain when it arrived
 * there. All sealers since must be trusted as well, because each could have written anything.
 *
 * @param author the author's domain, as `checkDmarc` of `tsmilter/dmarc` gives it
 * @param sealers trusted domains (`d=` of the seals); `.example.com` stands for all subdomains of example.com
 * @returns undefined unless the chain passes and has such a sealer
 */
export function trustedSealer(
  arc: ArcResult,
  author: string,
  sealers: readonly string[],
): TrustedSealer | undefined {
  if (arc.result !== 'pass') return undefined;
  for (const set of arc.sets.toReversed()) {
    if (!isTrusted(set.domain, sealers)) return undefined;
    if (saysPass(set, author)) {
      return { domain: set.domain, instance: set.instance, comment: commentOn(arc) };
    }
  }
  return undefined;
}

/**
 * Whether a chain could be a reason to let a message through, were it valid: its newest sealer has to be trusted. Of others, it does not matter
 * whether DNS knows their keys.
 *
 * @param sealers as for {@link trustedSealer}
 */
export function mayBeTrusted({ sets }: ArcResult, sealers: readonly string[]): boolean {
  const newest = sets[sets.length - 1];
  return newest !== undefined && isTrusted(newest.domain, sealers);
}

function isTrusted(domain: string, sealers: readonly string[]): boolean {
  return sealers.some((sealer) => {
    const isAbove = sealer.startsWith('.');
    const name = asciiDomain(isAbove ? sealer.slice(1) : sealer);
    return isAbove ? domain.endsWith(`.${name}`) : domain === name;
  });
}

/** Whether the set's author's domain was the same, and passed. */
function saysPass({ authRes }: ArcSet, author: string): boolean {
  const results = authRes?.results.filter(({ method }) => method === 'dmarc') ?? [];
  const [dmarc] = results;
  if (results.length !== 1 || dmarc?.result !== 'pass') return false;
  const from = dmarc.properties?.find(
    ({ ptype, property }) => ptype === 'header' && property === 'from',
  )?.value;
  return from !== undefined && domainNameOf(from) === author;
}

function commentOn({ result, sets }: ArcResult): string {
  const seals = sets
    .toReversed()
    .map(({ instance, domain, selector }) => `as[${instance}].d=${domain} as[${instance}].s=${selector}`);
  const first = sets[0]?.authRes?.results.flatMap(({ properties = [] }) => properties) ?? [];
  const ip = first.find(({ ptype, property }) => ptype === 'smtp' && property === 'remote-ip')?.value;
  const from = ip !== undefined && isIP(ip) !== 0 ? [`remote-ip[1]=${ip}`] : [];
  return [`arc=${result}`, ...seals, ...from].join(' ');
}
