/** What becomes of a message when a handler fails: the exception policy, and who is told. */
import { inspect } from 'node:util';
import { ACCEPT, CONTINUE, REJECT, TEMPFAIL } from '../addon/constants.js';
import type { Status } from '../addon/status.js';
import { badArgument } from '../internal/errors.js';
import { writeLine } from '../internal/output.js';
import type { Context } from './context.js';

/** The verdicts that can stand in for a failed handler's. */
export type ExceptionPolicy = typeof TEMPFAIL | typeof REJECT | typeof CONTINUE | typeof ACCEPT;

/** Told of each error in a handler. `step` is where. */
export type ErrorHook = (error: unknown, step: string) => void;

const POLICIES: ReadonlySet<number> = new Set([TEMPFAIL, REJECT, CONTINUE, ACCEPT]);
const LONGEST_NAME = 40;

/** The reply of a policy; nothing where its verdict has none. */
const REPLIES: Readonly<Record<number, readonly [code: string, extended: string]>> = {
  [TEMPFAIL]: ['451', '4.3.0'],
  [REJECT]: ['554', '5.3.0'],
};

/** The filter's name, its exception policy and its error hook. One for each thread that runs handlers. */
export class Exceptions {
  #name = 'milter';
  #policy: ExceptionPolicy = TEMPFAIL;
  #hook: ErrorHook | null = null;

  /** The filter's name, as in the replies and on stderr. */
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

  /** Null for stderr. @returns the old hook */
  setHook(hook: ErrorHook | null): ErrorHook | null {
    const old = this.#hook;
    this.#hook = hook;
    return old;
  }

  /** The reply that goes with the policy: [code, extended, text], the code '' where there is none. */
  reply(): [code: string, extended: string, text: string] {
    const [code, extended] = REPLIES[this.#policy] ?? ['', ''];
    // The name is the operator's; as a reply it must not be a format or break the line.
    const name = Array.from(this.#name)
      .slice(0, LONGEST_NAME)
      .join('')
      .replace(/[\0\r\n]/g, ' ')
      .replaceAll('%', '%%');
    return [code, extended, `${name}: untrapped exception`];
  }

  /** The answer in place of a failed handler's, its reply set. */
  apply(context: Context): Status {
    const [code, extended, text] = this.reply();
    if (code !== '') {
      try {
        context.setreply(code, extended, text);
      } catch {
        // The question has been answered meanwhile: so will this answer find, and say.
      }
    }
    return this.#policy;
  }

  /**
   * Tells the hook, or stderr; an error of the hook's own goes to stderr too. Never throws, whatever was thrown and
   * whatever the hook does: this runs where a session's fate is decided.
   */
  report(error: unknown, step: string): void {
    const hook: ((error: unknown, step: string) => unknown) | null = this.#hook;
    if (!hook) {
      this.#print(error, step);
      return;
    }
    const failed = (hookError: unknown) => {
      this.#print(hookError, 'the error hook');
      this.#print(error, step);
    };
    try {
      const result = hook(error, step);
      if (result instanceof Promise) result.catch(failed); // an async function, which the type does not keep out
    } catch (hookError) {
      failed(hookError);
    }
  }

  #print(error: unknown, step: string): void {
    writeLine(process.stderr, `${this.#name}: untrapped exception in ${step}: ${shown(error)}`);
  }
}

/** An error as text; anything can be thrown, also what cannot be shown. */
function shown(error: unknown): string {
  try {
    return inspect(error);
  } catch {
    return 'a value that cannot be shown';
  }
}
