/** The check of one client. */
import { Deadline } from '../dns/deadline.js';
import { DnsSession } from '../dns/index.js';
import { badArgument } from '../internal/errors.js';
import { Client } from './client.js';
import { Evaluation, type Outcome } from './evaluation.js';
import { domainsWords, sentenceOf, yourWords } from './explanation.js';
import { type Identity, identityOf } from './identity.js';
import { Lookups } from './lookups.js';
import { receivedSpf } from './received-spf.js';
import { type Settings, settingsOf } from './settings.js';
import { SpfError } from './spf-error.js';
import { printable } from './text.js';
import type { SpfCheck, SpfOptions, SpfQuery } from './types.js';

/** Longest name in a result: as long as a domain may be. */
const MAX_NAME_LENGTH = 253;
const MAX_MECHANISM_LENGTH = 253;
const MAX_PROBLEM_LENGTH = 200;
/** The highest that a limit of a DnsSession can be. */
const MAX_LIMIT = 2 ** 31 - 1;

/**
 * May this client send mail in this name (RFC 7208)? The domain's SPF record says so.
 *
 * Whatever DNS or a stranger says is a result, never an error. A client of your own (one that has logged in, a relay that
 * forwards to you) is not to be checked: ask before you call.
 *
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT for an address that is none, or a bad option
 */
export async function checkSpf(query: SpfQuery, options: SpfOptions = {}): Promise<SpfCheck> {
  const settings = settingsOf(options);
  checkQuery(query);
  const client = new Client(query.ip);
  const identity = identityOf(query, settings.identity);
  using deadline = new Deadline(settings.maxTime, options.signal);
  const resolver = options.resolver ?? sessionFor(settings, deadline.signal);
  const lookups = new Lookups(resolver, settings, deadline);
  const evaluation = new Evaluation(identity, query.helo, client, settings, lookups);

  const { outcome, problem } = await outcomeFor(identity, evaluation);
  const sentence = sentenceOf(outcome.result, identity, client.text, problem);
  const theirs = await domainsWords(outcome, evaluation, lookups, settings);
  const words = theirs ?? (await yourWords(outcome, identity, evaluation, settings)) ?? sentence;
  const finding = {
    result: outcome.result,
    identity: identity.kind,
    domain: printable(identity.domain, MAX_NAME_LENGTH),
    mechanism: outcome.mechanism === null ? null : printable(outcome.mechanism, MAX_MECHANISM_LENGTH),
    problem,
  };
  return {
    ...finding,
    explanation: printable(words, settings.maxExplanation),
    explainedBy: theirs === undefined ? null : outcome.domain,
    lookups: lookups.terms,
    receivedSpf: receivedSpf({
      ...finding,
      comment: `${printable(settings.receiver, MAX_NAME_LENGTH)}: ${sentence}`,
      receiver: settings.receiver,
      ip: client.text,
      sender: identity.kind === 'mailfrom' ? identity.sender : null,
      helo: query.helo,
    }),
  };
}

interface Finding {
  readonly outcome: Outcome;
  readonly problem: string | null;
}

async function outcomeFor({ domain }: Identity, evaluation: Evaluation): Promise<Finding> {
  try {
    return { outcome: await evaluation.checkHost(domain), problem: null };
  } catch (error) {
    if (!(error instanceof SpfError)) throw error;
    const outcome = { result: error.result, mechanism: null, domain, exp: null };
    return { outcome, problem: printable(error.message, MAX_PROBLEM_LENGTH) };
  }
}

/** Its own limits must not be reached before those of the check, which bound it: aliases are questions too. */
function sessionFor({ maxLookups, maxMx, maxPtr }: Settings, signal: AbortSignal): DnsSession {
  const maxAliases = 8;
  const names = 2 + maxLookups * (1 + maxMx) + 1 + maxPtr; // the record, the explanation, the terms, the client's names
  const questions = Math.min(names * (1 + maxAliases), MAX_LIMIT);
  return new DnsSession({ signal, maxAliases, maxLookups: questions, maxTime: MAX_LIMIT });
}

function checkQuery(query: SpfQuery): void {
  if (typeof query !== 'object' || query === null) throw badArgument('checkSpf: the query must be an object');
  for (const name of ['helo', 'sender'] as const) {
    if (typeof query[name] !== 'string')
      throw badArgument(`checkSpf: ${name} must be a string, not ${typeof query[name]}`);
  }
}
