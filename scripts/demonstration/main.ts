/** Sends three messages through the sample filter. scripts/demo builds what this needs and starts it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { unavailable } from '../../tools/mta';
import { Filter } from './filter';
import { SAMPLES, type Sample } from './messages';
import { printColumns, printTitle } from './report';
import type { Route } from './route';
import { SendmailRoute } from './sendmail-route';
import { SessionRoute } from './session-route';

async function show(sample: Sample, route: Route, filter: Filter): Promise<void> {
  const from = filter.log.length;
  const outcome = await route.send(sample);
  await filter.awaitLine('close', from);
  printTitle(sample.title);
  printColumns([
    { title: route.titles.dialogue, lines: outcome.dialogue },
    { title: "The filter's log", lines: filter.log.slice(from) },
    {
      title: route.titles.delivered,
      lines: outcome.delivered === null ? ['(nothing)'] : outcome.delivered.trimEnd().split('\r\n'),
    },
  ]);
  console.log(`\n=> ${sample.judge(outcome)}`);
}

async function main(): Promise<void> {
  const withMta = !process.argv.includes('--no-mta');
  const reason = withMta ? unavailable() : undefined;
  if (reason) throw new Error(`${reason}; use --no-mta to run without an MTA`);

  const dir = mkdtempSync(join(tmpdir(), 'tsmilter-demo-'));
  const socket = `unix:${join(dir, 'filter.sock')}`;
  let filter: Filter | undefined;
  let route: Route | undefined;
  // Sendmail needs no handler here: its supervisor ends it together with this process.
  process.on('exit', () => {
    filter?.kill();
    rmSync(dir, { recursive: true, force: true });
  });
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    process.on(signal, () => process.exit(code));
  }

  try {
    filter = await Filter.start(socket);
    route = withMta ? await SendmailRoute.open(socket) : new SessionRoute(socket);
    for (const sample of SAMPLES) await show(sample, route, filter);
  } finally {
    await route?.close();
    const code = await filter?.stop();
    if (filter && code !== 0) console.error(`the filter ended with ${code}:\n${filter.log.join('\n')}`);
    if (code !== 0) process.exitCode = 1;
  }
  console.log(
    '\nAll three messages were handled as expected. The filter has stopped, and all temporary files are removed.',
  );
}

main().catch((error: unknown) => {
  console.error(`demo: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
});
