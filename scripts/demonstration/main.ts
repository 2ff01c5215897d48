/** Sends messages through the sample filter, or through guard. scripts/demo builds what this needs and starts it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { unavailable } from '../../tools/mta';
import type { Demonstration } from './demonstration';
import { Filter } from './filter';
import { guard } from './guard';
import type { Outcome, Sample } from './messages';
import { printColumns, printTitle } from './report';
import type { Route } from './route';
import { sample } from './sample';
import { SendmailRoute } from './sendmail-route';
import { SessionRoute } from './session-route';

/** Sends it as often as it wants. */
async function sendAll(message: Sample, route: Route, filter: Filter, sessionEnd: RegExp): Promise<Outcome> {
  const dialogue: string[] = [];
  for (let left = message.attempts ?? 1; ; left--) {
    const from = filter.log.length;
    const outcome = await route.send(message);
    await filter.awaitLine(sessionEnd, from);
    dialogue.push(...outcome.dialogue);
    if (left <= 1) return { ...outcome, dialogue };
    dialogue.push('');
  }
}

async function show(message: Sample, route: Route, filter: Filter, sessionEnd: RegExp): Promise<void> {
  const from = filter.log.length;
  const outcome = await sendAll(message, route, filter, sessionEnd);
  printTitle(message.title);
  printColumns([
    { title: route.titles.dialogue, lines: outcome.dialogue },
    { title: "The filter's log", lines: filter.log.slice(from) },
    {
      title: route.titles.delivered,
      lines: outcome.delivered === null ? ['(nothing)'] : outcome.delivered.trimEnd().split('\r\n'),
    },
  ]);
  console.log(`\n=> ${message.judge(outcome)}`);
}

async function main(): Promise<void> {
  const chosen: Demonstration = process.argv.includes('guard') ? guard : sample;
  const withMta = !process.argv.includes('--no-mta');
  if (chosen.needsMta && !withMta) throw new Error('this filter is shown behind a real MTA only');
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
    filter = await Filter.start(chosen.program, await chosen.prepare(socket, dir));
    route = withMta ? await SendmailRoute.open(socket) : new SessionRoute(socket);
    for (const message of chosen.samples) await show(message, route, filter, chosen.sessionEnd);
  } finally {
    await route?.close();
    const code = await filter?.stop();
    await chosen.close();
    if (filter && code !== 0) console.error(`the filter ended with ${code}:\n${filter.log.join('\n')}`);
    if (code !== 0) process.exitCode = 1;
  }
  console.log(
    `\nAll ${chosen.samples.length} messages were handled as expected. The filter has stopped, and all temporary files are removed.`,
  );
}

main().catch((error: unknown) => {
  console.error(`demo: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
});
