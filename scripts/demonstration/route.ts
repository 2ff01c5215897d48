import type { Outcome, Sample } from './messages';

/** A way to send messages through the filter. */
export interface Route {
  /** The titles of the columns. */
  readonly titles: { readonly dialogue: string; readonly delivered: string };
  /** Sends a message in a new session. */
  send(sample: Sample): Promise<Outcome>;
  close(): Promise<void>;
}
