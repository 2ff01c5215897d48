/**
 * What the helpers tell of their work on channels of node:diagnostics_channel, where the metrics of a filter count it. A channel
 * without a listener costs nothing.
 */
import diagnosticsChannel from 'node:diagnostics_channel';

/** Of each DNS lookup. */
export const DNS_CHANNEL = 'tsmilter:dns';
/** Of each request to Redis. */
export const REDIS_CHANNEL = 'tsmilter:redis';

/** What is told of a lookup, or a request. */
export interface HelperEvent {
  readonly result: 'cached' | 'found' | 'nothing' | 'ok' | 'failed';
  readonly milliseconds: number;
}

/** Tells of one, if there is a listener. @param begun by performance.now() */
export function publish(name: string, result: HelperEvent['result'], begun: number): void {
  const channel = diagnosticsChannel.channel(name);
  if (!channel.hasSubscribers) return;
  const event: HelperEvent = { result, milliseconds: performance.now() - begun };
  channel.publish(event);
}
