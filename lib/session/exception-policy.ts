/** What happens when a handler fails: the exception policy answers, and the error is reported. */
import { types } from 'node:util';
import { ACCEPT, CONTINUE, REJECT, TEMPFAIL } from '../addon/constants.js';
import type { Status } from '../addon/status.js';
import { errorText } from '../internal/error-text.js';
import { badArgument } from '../internal/errors.js';
import type { Logger } from '../internal/logger.js';
import { writeLine } from '../internal/output.js';
import { ownPromise } from '../internal/own-promise.js';
import { checkFunctionOrNull } from '../internal/validate.js';
import type { Context } from './context.js';
import type { SessionFacts } from './observer.js';
import { escapePercents, replaceUnprintable } from './reply-text.js';

/** The verdicts that may replace a failed handler's. */
export type ExceptionPolicy = typeof TEMPFAIL | typeof REJECT | typeof CONTINUE | typeof ACCEPT;

/** Called with each error in a handler, the step that it belongs to, and the session if it belongs to one. */
export type ErrorHook = (error: unknown, step: string, facts: SessionFacts) => void;

const POLICIES: ReadonlySet<number> = new Set([TEMPFAIL, REJECT, CONTINUE, ACCEPT]);
/** Characters of the filter's name that go into a reply. */
const MAX_NAME_LENGTH = 40;

/** The reply of a policy; verdicts without a reply are missing. */
const REPLIES: Readonly<Record<number, readonly [code: string, extended: string]>> = {
  [TEMPFAIL]: ['451', '4.3.0'],
  [REJECT]: ['554', '5.3.0'],
};

/** The exception policy, the error hook, and the filter's name for their texts. Each thread that runs handlers has one. */
export class Exceptions {
  #name = 'milter';
  #policy: ExceptionPolicy = TEMPFAIL;
  #hook: ErrorHook | null = null;
  #logger: Logger | null = null;

  /** Sets the filter's name, which appears in replies and on stderr. */
  setName(name: string): void {
    this.#name = name;
  }

  get policy(): ExceptionPolicy {
    return this.#policy;
  }

  /** @returns the old policy @throws MilterError ERR_MILTER_BAD_ARGUMENT for any other verdict */
  setPolicy(policy: ExceptionPolicy): ExceptionPolicy {
    if (!POLICIES.has(policy)) {
      throw badArgument(
        `the exception policy must be TEMPFAIL, REJECT, CONTINUE or ACCEPT, not ${String(policy)}`,
      );
    }
    const old = this.#policy;
    this.#policy = policy;
    return old;
  }

  /** Sets the hook; null: errors go to the log, or are printed to stderr if there is none. @returns the old hook */
  setHook(hook: ErrorHook | null): ErrorHook | null {
    checkFunctionOrNull('the error hook', hook);
    const old = this.#hook;
    this.#hook = hook;
    return old;
  }

  /** Sets the log that gets errors if there is no hook; null: they are printed to stderr. */
  setLogger(logger: Logger | null): void {
    this.#logger = logger;
  }

  /** The policy's reply; its code is '' if the policy's verdict has none. */
  reply(): [code: string, extended: string, text: string] {
    const [code, extended] = REPLIES[this.#policy] ?? ['', ''];
    // The operator may choose any name, also one that may not stand in a reply.
    const name = Array.from(this.#name).slice(0, MAX_NAME_LENGTH).join('');
    return [code, extended, `${escapePercents(replaceUnprintable(name))}: untrapped exception`];
  }

  /** Sets the policy's reply, and returns the verdict in place of a failed handler's. */
  apply(context: Context): Status {
    const [code, extended, text] = this.reply();
    if (code !== '') {
      try {
        context.setreply(code, extended, text);
      } catch {
        // The question is already answered; answer() will report that.
      }
    }
    return this.#policy;
  }

  /**
   * Passes an error to the hook, or else to the log; an error in the hook itself is logged too. It never throws, whatever the
   * error is and whatever the hook does, because its callers go on to answer the MTA.
   * @param facts those of the session, or NO_SESSION
   */
  report(error: unknown, step: string, ...facts: [SessionFacts?]): void {
    const hook = this.#hook as ((error: unknown, step: string, facts?: SessionFacts) => unknown) | null;
    if (!hook) {
      this.#write(error, step, ...facts);
      return;
    }
    const failed = (hookError: unknown) => {
      this.#write(hookError, 'the error hook', ...facts);
      this.#write(error, step, ...facts);
    };
    try {
      const result = hook(error, step, ...facts);
      if (types.isPromise(result)) ownPromise(result).catch(failed); // from an async function, which the type does not exclude
    } catch (hookError) {
      failed(hookError);
    }
  }

  #write(error: unknown, step: string, facts?: SessionFacts): void {
    const text = `untrapped exception in ${step}`;
    try {
      this.#logger?.error({ ...facts, step, err: error }, text);
    } catch {
      this.#print(error, text); // a log of the application's own, which must not keep the MTA from its answer
    }
    if (!this.#logger) this.#print(error, text);
  }

  #print(error: unknown, text: string): void {
    writeLine(process.stderr, `${this.#name}: ${text}: ${errorText(error)}`);
  }
}
