/** checkSpf: the SPF check of one client. */

import { DnsSession } from '../dns/index.js';
import { MAX_NAME_LENGTH } from '../dns/names.js';
import { Deadline } from '../internal/deadline.js';
import { badArgument } from '../internal/errors.js';
import { Client } from './client.js';
import { Evaluation, type Outcome } from './evaluation.js';
import { domainExplanation, localExplanation, summaryOf } from './explanation.js';
import { type Identity, identityOf } from './identity.js';
import { Lookups } from './lookups.js';
import { receivedSpf } from './received-spf.js';
import { type Settings, settingsOf } from './settings.js';
import { SpfError } from './spf-error.js';
import { printable } from './text.js';
import type { SpfCheck, SpfOptions, SpfQuery } from './types.js';

/** Texts in a result are cut to these lengths; names to MAX_NAME_LENGTH. */
const MAX_MECHANISM_LENGTH = 253;
const MAX_PROBLEM_LENGTH = 200;
/** The highest value for a limit of a DnsSession. */
const MAX_LIMIT = 2 ** 31 - 1;

/**
 * Checks with the SPF record of a domain whether a client is allowed to send mail in its name (RFC 7208).
 *
 * Failures of DNS and malformed records are results, not errors. Do not check clients of your own, such as users who have
 * logged in or a relay that forwards to you.
 *
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT for an invalid address or option
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
  const summary = summaryOf(outcome.result, identity, client.text, problem);
  const fromDomain = await domainExplanation(outcome, evaluation, lookups, settings);
  const explanation =
    fromDomain ?? (await localExplanation(outcome, identity, evaluation, settings)) ?? summary;
  const finding = {
    result: outcome.result,
    identity: identity.kind,
    domain: printable(identity.domain, MAX_NAME_LENGTH),
    mechanism: outcome.mechanism === null ? null : printable(outcome.mechanism, MAX_MECHANISM_LENGTH),
    problem,
  };
  return {
    ...finding,
    explanation: printable(explanation, settings.maxExplanation),
    explainedBy: fromDomain === undefined ? null : outcome.domain,
    lookups: lookups.terms,
    receivedSpf: receivedSpf({
      ...finding,
      comment: `${printable(settings.receiver, MAX_NAME_LENGTH)}: ${summary}`,
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

async function outcomeFor({ domain, checkable }: Identity, evaluation: Evaluation): Promise<Finding> {
  if (!checkable) return { outcome: { result: 'none', mechanism: null, domain, exp: null }, problem: null };
  try {
    return { outcome: await evaluation.checkHost(domain), problem: null };
  } catch (error) {
    if (!(error instanceof SpfError)) throw error;
    const outcome = { result: error.result, mechanism: null, domain, exp: null };
    return { outcome, problem: printable(error.message, MAX_PROBLEM_LENGTH) };
  }
}

/**
 * A DnsSession for one check. Its own limits are high enough that those of the check are reached first, although each alias
 * is another question.
 */
function sessionFor({ maxLookups, maxMx, maxPtr }: Settings, signal: AbortSignal): DnsSession {
  const maxAliases = 8;
  const names = 2 + maxLookups * (1 + maxMx) + 1 + maxPtr; // record, explanation, terms, names of the client
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
