/** The check of one client. */
import type { SpfCheck, SpfOptions, SpfQuery } from './types.js';

/** May the client send mail in this name (RFC 7208)? */
export async function checkSpf(_query: SpfQuery, _options: SpfOptions = {}): Promise<SpfCheck> {
  throw new Error('not written yet');
}
