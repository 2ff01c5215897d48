/** Many lookups that follow one signal. */
import { once } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { DnsSession } from 'tsmilter/dns';
import { iniplist } from 'tsmilter/utils';
import { onAbort } from '#lib/internal/on-abort.js';
import { nodeProcess } from '../support/node-process';

/** The warnings that Node gives meanwhile. */
async function warningsOf(action: () => Promise<unknown>): Promise<string[]> {
  const warnings: string[] = [];
  const listener = ({ message }: Error) => warnings.push(message);
  nodeProcess.on('warning', listener);
  try {
    await action();
    await nextTurn(); // warnings are emitted in process.nextTick
  } finally {
    nodeProcess.off('warning', listener);
  }
  return warnings;
}

describe('signals that many lookups follow', () => {
  it('control: Node warns of eleven listeners', async () => {
    const { signal } = new AbortController();
    const warnings = await warningsOf(async () => {
      for (let at = 0; at < 11; at++) signal.addEventListener('abort', () => {});
    });
    expect(warnings).toHaveLength(1);
  });

  it('no warning for a hundred DNS lookups with one signal', async () => {
    const controller = new AbortController();
    const exchange = (_question: unknown, signal: AbortSignal) =>
      once(signal, 'abort').then(() => Promise.reject(signal.reason));
    const dns = new DnsSession({ signal: controller.signal, exchange });
    const warnings = await warningsOf(async () => {
      const lookups = Array.from({ length: 100 }, (_, at) => dns.resolve4(`host${at}.example`));
      const settled = Promise.allSettled(lookups);
      await nextTurn();
      controller.abort();
      for (const { status } of await settled) expect(status).toBe('rejected');
    });
    expect(warnings).toStrictEqual([]);
  });

  it('no warning for a list of a hundred names', async () => {
    const lookup = async () => ['192.0.2.2'];
    const names = Array.from({ length: 100 }, (_, at) => `host${at}.example`);
    const warnings = await warningsOf(() =>
      iniplist('192.0.2.1', names, { resolver: { resolve4: lookup, resolve6: lookup } }),
    );
    expect(warnings).toStrictEqual([]);
  });

  it('calls each action once, and none that has unsubscribed', () => {
    const controller = new AbortController();
    const calls: string[] = [];
    const note = () => calls.push('twice');
    onAbort(controller.signal, note);
    onAbort(controller.signal, note);
    onAbort(controller.signal, () => calls.push('gone'))();
    controller.abort();
    onAbort(controller.signal, () => calls.push('late'));
    expect(calls).toStrictEqual(['twice', 'twice', 'late']);
  });
});
