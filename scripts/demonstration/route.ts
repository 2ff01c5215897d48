import type { Outcome, Sample } from './messages';

/** A way for messages to the filter. */
export interface Route {
  /** What the columns are called. */
  readonly titles: { readonly dialogue: string; readonly delivered: string };
  /** Sends a message in a session of its own. */
  send(sample: Sample): Promise<Outcome>;
  close(): Promise<void>;
}
