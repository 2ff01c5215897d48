/** The result of a check for an Authentication-Results field (RFC 9989 9.1 and 9.2). */
import type { AuthResProperty, AuthResResult } from '../authres/index.js';
import type { DmarcResult } from './types.js';

/** The `dmarc=` of an Authentication-Results field, to be written with `formatAuthRes` of `tsmilter/authres`. */
export function dmarcAuthRes({ result, reason, domain, record, policy }: DmarcResult): AuthResResult {
  const properties: AuthResProperty[] = [];
  if (domain !== undefined) properties.push({ ptype: 'header', property: 'from', value: domain });
  // What the domain asks for about this message, after sp=, np=, t= and pct=; not what the receiver decides.
  if (record?.usable) properties.push({ ptype: 'policy', property: 'dmarc', value: policy });
  return {
    method: 'dmarc',
    result,
    ...(reason === undefined ? {} : { reason }),
    ...(properties.length > 0 ? { properties } : {}),
  };
}
