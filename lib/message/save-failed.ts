/** Saves the messages that a filter's handlers fail on, so that they can be replayed. */
import { describeError, type FailedMessages } from '../archive/index.js';
import type { AnyFilter } from '../filter/base.js';
import { checkFactory, type Factory, makeFilter } from '../filter/dispatch.js';
import { badArgument } from '../internal/errors.js';
import { writeLine } from '../internal/output.js';
import { checkFunctionOrNull } from '../internal/validate.js';
import { type StorageOptions, storageOptions } from './body-store.js';
import { SessionRecorder } from './session-recorder.js';

/** Options of {@link saveFailed}. */
export interface SaveFailedOptions extends StorageOptions {
  /** Called with an error that has prevented a save, such as a full disk. Default: it is written to stderr. */
  readonly onError?: (error: unknown) => void;
}

/**
 * A factory of the same filter which saves each message that a handler throws on, does not answer in time, or answers with something
 * that is no status: the first failure of a message, in `envfrom` to `eom`. The save is finished before the exception policy answers.
 *
 * The filter works as before, but the MTA sends all of each message, which is recorded until its end: its body in memory up to
 * `maxMemory`, and what exceeds that in a temporary file.
 *
 * @example
 * ```
 * const factory = saveFailed(MyFilter, new FailedMessages('/var/lib/myfilter/failed'));
 * await runmilter('myfilter', socket, { factory });
 * ```
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT
 */
export function saveFailed(
  factory: Factory,
  failed: FailedMessages,
  options: SaveFailedOptions = {},
): () => AnyFilter {
  checkFactory(factory);
  if (typeof failed?.save !== 'function')
    throw badArgument('saveFailed: the second argument must be FailedMessages');
  const { onError = printError, ...storage } = options;
  checkFunctionOrNull('saveFailed: onError', onError);
  const normalised = storageOptions(storage);
  const report = (error: unknown) => {
    try {
      onError(error);
    } catch (hookError) {
      for (const each of [hookError, error]) printError(each);
    }
  };
  return () => {
    const filter = makeFilter(factory);
    new SessionRecorder(filter, failed, normalised, report).attach();
    return filter;
  };
}

function printError(error: unknown): void {
  writeLine(
    process.stderr,
    `a message that a handler failed on could not be saved: ${describeError(error).text}`,
  );
}
