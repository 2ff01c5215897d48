/** The result of a chain for an Authentication-Results field (RFC 8617 6 and 10.2). */
import type { AuthResProperty, AuthResResult } from '../authres/index.js';
import type { ArcResult } from './types.js';

/** What else is known. */
export interface ArcAuthResOptions {
  /** The address of the SMTP client (`smtp.remote-ip`). Default: it is not written. */
  readonly remoteIp?: string;
}

/** The `arc=` of an Authentication-Results field, to be written with `formatAuthRes` of `tsmilter/authres`. */
export function arcAuthRes(arc: ArcResult, { remoteIp }: ArcAuthResOptions = {}): AuthResResult {
  const properties: AuthResProperty[] = [];
  if (remoteIp !== undefined) properties.push({ ptype: 'smtp', property: 'remote-ip', value: remoteIp });
  if (arc.oldestPass !== undefined) {
    properties.push({ ptype: 'header', property: 'oldest-pass', value: String(arc.oldestPass) });
  }
  return {
    method: 'arc',
    result: arc.result,
    ...(arc.reason === undefined ? {} : { reason: arc.reason }),
    ...(properties.length > 0 ? { properties } : {}),
  };
}
