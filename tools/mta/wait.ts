import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Asks `look` again and again until it answers something other than undefined or false, and resolves to that.
 * Rejects, naming `what`, when `timeoutMs` have passed.
 */
export async function until<T>(
  what: string,
  timeoutMs: number,
  look: () => T | undefined | false,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const found = look();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > deadline) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await sleep(10);
  }
}
