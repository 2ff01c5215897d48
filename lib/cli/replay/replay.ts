/** `tsmilter replay`: runs messages through a filter in this process, without libmilter, a socket or an MTA. */
import type { Command } from 'commander';
import { readSaved } from '../../archive/index.js';
import { isSaved } from '../../archive/saved-message.js';
import type { Factory } from '../../filter/dispatch.js';
import { MilterError } from '../../internal/errors.js';
import type { FeedResult } from '../../testing/simulator/feed.js';
import { splitMessage } from '../../testing/simulator/message-source.js';
import { replay as replaySaved } from '../../testing/simulator/replay.js';
import { TestCtx } from '../../testing/simulator/test-ctx.js';
import type { TestMessage } from '../../testing/simulator/test-message.js';
import { type CommandContext, type Define, describe, EXIT } from '../command.js';
import { addEnvelopeOptions, type EnvelopeOptions, envelopeOf } from '../messages/envelope.js';
import { loadFilter } from '../messages/load-filter.js';
import { OUTCOME_EXIT_CODES, type Outcome, outcomeOf } from '../messages/outcome.js';
import { messageBefore, Report } from '../messages/report.js';
import { addFactOptions, type FactOptions, sessionFacts } from '../messages/session-facts.js';
import { areSeveral, readMessages, type StoredMessage } from '../messages/sources.js';
import { oneOf } from '../values.js';

interface ReplayOptions extends FactOptions, EnvelopeOptions {
  expect?: Outcome;
  diff?: boolean;
  json?: boolean;
}

/** A message before the filter, and what became of it. */
interface Replayed {
  readonly before: TestMessage;
  readonly result: FeedResult;
}

/** Adds `replay` to the program. */
export function registerReplay(program: Command, define: Define): void {
  const command = program
    .command('replay')
    .summary('run messages through a filter, without a socket')
    .description(
      'Runs messages through the filter of a module, in this process, and prints what becomes of them. A message that a handler failed\n' +
        'on (tsmilter/archive) runs with the session that was saved with it.',
    )
    .argument('<filter>', 'the module of the filter')
    .argument(
      '<message...>',
      'files, directories, mailboxes (mbox), messages that were saved, or - for stdin',
    );
  addFactOptions(addEnvelopeOptions(command))
    .option(
      '--expect <outcome>',
      'what must become of each message, for tests: accepted, quarantined, rejected, deferred or discarded',
      oneOf('accepted', 'quarantined', 'rejected', 'deferred', 'discarded'),
    )
    .option('--diff', 'show what the filter changes; default with one message')
    .option('--no-diff', 'do not show it')
    .option('--json', 'print a line of JSON for each message');
  describe(command, {
    ok: 'accepted, all of them; with --expect: as expected',
    failed: 'the filter could not be loaded; with --expect: not as expected',
    exitCodes: OUTCOME_EXIT_CODES,
    examples: [
      'tsmilter replay filter.js lottery.eml --client 198.51.100.7',
      'tsmilter replay filter.js test/spam --expect rejected',
      'tsmilter replay filter.js /var/lib/nolottery/failed',
    ],
  });
  define<[string, string[], ReplayOptions]>(command, replay);
}

async function replay(
  { output }: CommandContext,
  module: string,
  paths: string[],
  options: ReplayOptions,
): Promise<number> {
  const several = await areSeveral(paths);
  const filter = await loadFilter(module);
  const report = new Report(output, { json: options.json ?? false, changes: options.diff ?? !several });
  let unexpected = 0;
  try {
    for await (const stored of readMessages(paths)) {
      const started = performance.now();
      try {
        const { before, result } = await replayOne(filter.factory, stored, options);
        report.add({ name: stored.name, before, result, milliseconds: performance.now() - started });
        if (options.expect !== undefined && outcomeOf(result) !== options.expect) {
          unexpected++;
          output.error(`${stored.name}: expected ${options.expect}, got ${outcomeOf(result)}`);
        }
      } catch (error) {
        if (!several || !(error instanceof MilterError)) throw error;
        unexpected++;
        report.addFailure(stored.name, error);
      }
      if (several && stored.share !== undefined) output.progress(stored.share);
    }
  } finally {
    await filter.close(); // or its timers and pools would keep this process alive
  }
  if (several) report.summarise();
  if (options.expect === undefined) return report.exitCode;
  return unexpected === 0 ? EXIT.ok : EXIT.failed;
}

async function replayOne(factory: Factory, stored: StoredMessage, options: ReplayOptions): Promise<Replayed> {
  const { file } = stored;
  if (file !== undefined && isSaved(stored.content)) return await replaySession(factory, file, options);
  const message = splitMessage(stored.content);
  const envelope = envelopeOf(message, options, stored.sender);
  const facts = sessionFacts(options, envelope.sender[0]);
  const { helo: name, mail, rcpt, ...macros } = facts.macros;
  await using ctx = new TestCtx(factory, {
    hostname: facts.clientName,
    hostaddr: facts.client,
    helo: facts.helo,
    version: facts.version,
    headerRules: facts.mta,
    macros: {
      ...macros,
      ...(name && { helo: name }),
      ...(mail && { envfrom: mail }),
      ...(rcpt && { envrcpt: rcpt }),
    },
  });
  const result = await ctx.feedMessage(stored.content, envelope);
  return { before: messageBefore(facts.mta, message, envelope), result };
}

async function replaySession(factory: Factory, path: string, { mta }: ReplayOptions): Promise<Replayed> {
  const saved = await readSaved(path);
  const [sender = '<>', ...params] = saved.sender;
  const before = messageBefore(mta, saved, {
    sender: [sender, ...params],
    recipients: saved.recipients.map(({ command: [address = '<>', ...rest] }) => [address, ...rest]),
  });
  const { message, errors: _, ...result } = await replaySaved(factory, saved, { headerRules: mta });
  return { before, result: { ...result, message: message ?? before } };
}
