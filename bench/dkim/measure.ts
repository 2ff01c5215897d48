/** What the contenders of bench/dkim.ts in JavaScript do around their own work. */
import { readFileSync } from 'node:fs';

/** Milliseconds. */
const cpuOf = ({ user, system }: NodeJS.CpuUsage): number => (user + system) / 1000;

/** Runs for so many seconds of CPU, and once at least; milliseconds a pass, of time and of CPU. */
async function repeat(run: () => Promise<void>, limit: number): Promise<{ ms: number; cpuMs: number }> {
  const begun = performance.now();
  const busy = process.cpuUsage();
  let passes = 0;
  do {
    await run();
    passes++;
  } while (cpuOf(process.cpuUsage(busy)) < limit * 1000);
  const ms = (performance.now() - begun) / passes;
  return { ms, cpuMs: cpuOf(process.cpuUsage(busy)) / passes };
}

/** Measures for so many seconds of CPU, after a warm-up, and writes the result as JSON. */
export async function measure(run: () => Promise<void>, limit: number): Promise<void> {
  await repeat(run, limit / 2);
  const times = await repeat(run, limit);
  // resourceUsage counts what this process's parent had before exec, too.
  const [, peak] = /^VmHWM:\s*(\d+)/m.exec(readFileSync('/proc/self/status', 'latin1')) ?? [];
  console.log(JSON.stringify({ ...times, peakKiB: Number(peak) }));
}
