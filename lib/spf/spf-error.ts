/** What ends a check before a record has an answer. */

/** The check ends with this result, wherever among includes and redirects it is (RFC 7208 5). Never leaves this folder. */
export class SpfError extends Error {
  override readonly name = 'SpfError';
  readonly result: 'temperror' | 'permerror';

  /** @param message what is wrong; may hold a stranger's text */
  constructor(result: 'temperror' | 'permerror', message: string) {
    super(message);
    this.result = result;
  }
}
