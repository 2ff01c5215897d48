/** A message that a handler failed on, once more through a filter. */
import { readSaved, type SavedMacros, type SavedMessage } from '../../archive/index.js';
import type { Factory } from '../../filter/dispatch.js';
import type { Text } from '../wire/frames.js';
import { Protocol } from '../wire/protocol.js';
import type { Response } from '../wire/replies.js';
import { type FeedResult, feed, greet } from './feed.js';
import type { HandlerError } from './recording-exceptions.js';
import { TestCtx } from './test-ctx.js';
import type { TestCtxOptions } from './test-ctx-options.js';
import type { TestMessage } from './test-message.js';

/** The outcome of {@link replay}. */
export interface ReplayResult extends Omit<FeedResult, 'message'> {
  /** The message with the filter's changes; null if the filter has ended the session before MAIL. */
  readonly message: TestMessage | null;
  /** The errors in handlers. */
  readonly errors: readonly HandlerError[];
}

/**
 * Runs a message that was saved through a filter, in a {@link TestCtx}: with the client, HELO, envelope and macros of its session.
 *
 * @param saved the path of its file, or what `readSaved` of `tsmilter/archive` has read
 * @param options for the TestCtx; those that the saved session gives take precedence
 * @throws MilterError ERR_MILTER_ARCHIVE for a file that is no message that was saved, ERR_MILTER_BAD_ARGUMENT for one whose session no
 *   MTA could have had, or that does not belong to a message
 */
export async function replay(
  filter: Factory,
  saved: string | SavedMessage,
  options: TestCtxOptions = {},
): Promise<ReplayResult> {
  const message = typeof saved === 'string' ? await readSaved(saved) : saved;
  const { client, helo, sender, recipients, macros, headers, body } = message;
  await using ctx = new ReplayCtx(
    filter,
    {
      ...options,
      ...(client && { hostname: client.hostname, hostaddr: client.peer }),
      ...(helo !== null && { helo }),
      macros,
      honourSymlists: false, // the MTA has done so
    },
    recipients.map((recipient) => recipient.macros),
  );
  const envelope = {
    sender: asCommand(sender),
    recipients: recipients.map(({ command }) => asCommand(command)),
  };
  const { protocol } = await ctx.negotiate();
  const result =
    (await greet(ctx, helo === null ? { helo: { verdict: 'skipped' } } : {})) ??
    (await feed(ctx, envelope, { headers, body }, (protocol & Protocol.HDR_LEADSPC) !== 0));
  return { ...result, message: ctx.message, errors: ctx.errors };
}

/** Sends the macros of each recipient ahead of it. */
class ReplayCtx extends TestCtx {
  readonly #macros: Iterator<SavedMacros>;

  constructor(filter: Factory, options: TestCtxOptions, macros: readonly SavedMacros[]) {
    super(filter, options);
    this.#macros = macros.values();
  }

  override async envrcpt(address: Text, ...params: Text[]): Promise<Response> {
    const { value } = this.#macros.next() as { value?: SavedMacros };
    await this.macros('envrcpt', value ?? {});
    return super.envrcpt(address, ...params);
  }
}

/** readSaved gives no command without an address. */
const asCommand = (command: readonly string[]) => command as [string, ...string[]];
