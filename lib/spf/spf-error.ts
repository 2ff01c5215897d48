/**
 * Ends a check with the result temperror or permerror, also from within includes and redirects (RFC 7208 5). It is caught by
 * checkSpf and never reaches its callers.
 */
export class SpfError extends Error {
  override readonly name = 'SpfError';
  readonly result: 'temperror' | 'permerror';

  /** @param message what is wrong; may contain untrusted text */
  constructor(result: 'temperror' | 'permerror', message: string) {
    super(message);
    this.result = result;
  }
}
