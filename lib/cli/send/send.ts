/** `tsmilter send`: plays the MTA for a filter that is running. */
import type { Command } from 'commander';
import { MilterError } from '../../internal/errors.js';
import { splitMessage } from '../../testing/simulator/message-source.js';
import { type CommandContext, type Define, describe } from '../command.js';
import { addEnvelopeOptions, type EnvelopeOptions, envelopeOf } from '../messages/envelope.js';
import { OUTCOME_EXIT_CODES } from '../messages/outcome.js';
import { messageBefore, Report } from '../messages/report.js';
import { addFactOptions, type FactOptions, sessionFacts } from '../messages/session-facts.js';
import { areSeveral, readMessages } from '../messages/sources.js';
import { duration } from '../values.js';
import { sendOne } from './mta.js';

interface SendOptions extends FactOptions, EnvelopeOptions {
  timeout: number;
  retry?: boolean;
  diff?: boolean;
  json?: boolean;
}

/** Adds `send` to the program. */
export function registerSend(program: Command, define: Define): void {
  const command = program
    .command('send')
    .summary('send messages to a running filter, as an MTA does')
    .description(
      'Sends messages to a running filter as an MTA does, each in a session of its own, and prints what becomes of them.\n' +
        'Nothing is delivered.',
    )
    .argument('<socket>', 'where the filter listens: unix:/path, inet:port@host, inet6:port@host')
    .argument('<message...>', 'files, directories, mailboxes (mbox), or - for stdin');
  addFactOptions(addEnvelopeOptions(command))
    .option('--timeout <time>', 'what the filter gets for each reply', duration, 10_000)
    .option('--retry', 'wait for the filter to start, as long as --timeout')
    .option('--diff', 'show what the filter changes; default with one message')
    .option('--no-diff', 'do not show it')
    .option('--json', 'print a line of JSON for each message');
  describe(command, {
    ok: 'accepted, all of them',
    failed: 'no connection, or the filter broke it',
    exitCodes: OUTCOME_EXIT_CODES,
    examples: [
      'tsmilter send unix:/run/nolottery/sock lottery.eml',
      'tsmilter send inet:8890@127.0.0.1 mail.eml --from a@example.com --to b@example.net --client 198.51.100.7',
      'tsmilter send unix:/run/nolottery/sock ~/Maildir/cur archive.mbox --auth alice --tls',
    ],
  });
  define<[string, string[], SendOptions]>(command, send);
}

async function send(
  { output }: CommandContext,
  socket: string,
  paths: string[],
  options: SendOptions,
): Promise<number> {
  const several = await areSeveral(paths);
  const report = new Report(output, { json: options.json ?? false, changes: options.diff ?? !several });
  for await (const { name, content, sender, share } of readMessages(paths)) {
    const message = splitMessage(content);
    const envelope = envelopeOf(message, options, sender);
    const facts = sessionFacts(options, envelope.sender[0]);
    const before = messageBefore(facts.mta, message, envelope);
    const started = performance.now();
    try {
      const result = await sendOne({ socket, facts, envelope, message, ...options });
      report.add({ name, before, result, milliseconds: performance.now() - started });
    } catch (error) {
      // A filter that is not there would fail every message alike.
      if (!several || !(error instanceof MilterError)) throw error;
      report.addFailure(name, error);
    }
    if (several && share !== undefined) output.progress(share);
  }
  if (several) report.summarise();
  return report.exitCode;
}
