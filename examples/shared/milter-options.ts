/** The options that every filter has in its section [milter], and what they do. */
import { inspect } from 'node:util';
import * as Milter from 'tsmilter';
import { ConfigError } from './config-error';
import type { Log } from './log';
import { choice, type Option, oneLine, type Values } from './options';

const POLICIES = {
  tempfail: Milter.TEMPFAIL,
  reject: Milter.REJECT,
  continue: Milter.CONTINUE,
  accept: Milter.ACCEPT,
} as const;
type PolicyWord = keyof typeof POLICIES;

const policyWord = choice(
  'the verdict on a message when the filter itself fails ([errors](errors.md#the-exception-policy))',
  Object.keys(POLICIES) as PolicyWord[],
  'tempfail',
);

const untrappedException: Option<Milter.ExceptionPolicy> = {
  ...policyWord,
  read: async (value, context) => POLICIES[await policyWord.read(value, context)],
};

const umask: Option<number | null> = {
  doc: 'the umask while the socket is created, such as `0117`, which lets the group connect; empty keeps that of the process',
  fallback: '',
  read(value) {
    if (value === '') return null;
    if (/^(?:0o?)?[0-7]{1,3}$/.test(value)) return Number.parseInt(value.replace('o', ''), 8);
    throw new ConfigError(`${value} is not an octal number such as 0117`);
  },
};

const socketnameOf = (program: string): Option<string> => ({
  doc: 'where the MTA connects: a path, `unix:/path`, `inet:port@host` or `inet6:port@host` ([sockets](sockets.md)); required',
  fallback: '',
  read(value) {
    if (value !== '') return oneLine(value);
    throw new ConfigError(
      `is missing; set it to the socket that the MTA connects to, such as /run/${program}/sock`,
    );
  },
});

const nameOf = (program: string): Option<string> => ({
  doc: 'the name in the log, and in the reply to mail that is deferred because the filter has failed',
  fallback: program,
  read: (value) => oneLine(value) || program,
});

/** The options of [milter] that concern the process and its socket. */
export const milterOptions = (program: string) => ({
  socketname: socketnameOf(program),
  name: nameOf(program),
  umask,
  untrapped_exception: untrappedException,
});

type MilterSettings = Values<ReturnType<typeof milterOptions>>;

/**
 * Sets up the process before `runmilter`.
 *
 * @param rights what the filter may do to a message
 */
export function prepareMilter(
  { umask, untrapped_exception }: Pick<MilterSettings, 'umask' | 'untrapped_exception'>,
  rights: number,
  log: Log,
): void {
  if (umask !== null) process.umask(umask);
  Milter.setFlags(rights);
  Milter.setExceptionPolicy(untrapped_exception);
  Milter.setErrorHook((error, step) => {
    if (step !== 'reload') log.write(`untrapped exception in ${step}:`, inspect(error)); // LiveFiles has reported its own
  });
}
