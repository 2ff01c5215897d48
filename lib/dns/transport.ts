/**
 * Sends questions to DNS servers: over UDP first, over TCP if the answer does not fit, and to the next server if one fails.
 *
 * node:dns is not used for this, because it returns the records of an answer without their names. Records that a hostile
 * server has added for other names could not be told apart from those that were requested. It serves as the model for the
 * rest, and as the measure in tests: which servers are asked, in which order, how long, and what follows from their answers.
 */

import { Deadline } from '../internal/deadline.js';
import { badArgument } from '../internal/errors.js';
import { checkInteger, checkLine } from '../internal/validate.js';
import { DnsError, type DnsErrorCode } from './error.js';
import type { DnsAnswer, DnsExchange, DnsQuestion } from './record-types.js';
import { DEFAULT_TIMEOUT, DEFAULT_TRIES, ResolvConf, type ResolverConfiguration } from './resolv-conf.js';
import { inOrder, parseServer, type Server, type ServerAddress } from './servers.js';
import { askTcp, askUdp, type Query } from './sockets.js';
import { MalformedAnswer } from './wire-reader.js';

export interface TransportOptions {
  /**
   * DNS servers, with or without a port: `192.0.2.53`, `192.0.2.53:5353`, `fe80::1%eth0`, `[2001:db8::53]:5353`. Default: those of
   * `resolvConf`.
   */
  readonly servers?: readonly string[];
  /** The file with the system's servers, which is read again when it changes. Default: `/etc/resolv.conf`. */
  readonly resolvConf?: string;
  /** Milliseconds to wait for an answer from one server. Default: `options timeout` of `resolvConf`, or 2,000. */
  readonly timeout?: number;
  /** How many times each server is asked. Default: `options attempts` of `resolvConf`, or 2. */
  readonly tries?: number;
}

/**
 * An exchange with DNS servers. Options that are not set are those of resolv.conf, as it is when a question is sent.
 *
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT for an invalid option
 */
export function networkExchange(options: TransportOptions): DnsExchange {
  const configuration = configurationOf(options);
  return async (question, signal) => {
    const silent = new Set<Server>();
    let failure: DnsAnswer | DnsError | undefined;
    for (let round = 0; round < configuration().tries; round++) {
      const { servers, timeout, rotate, tcp } = configuration();
      const order = inOrder(servers, rotate ? rotation++ : 0);
      probe(order.slice(1), question, { timeout, tcp });
      for (const server of order) {
        const outcome = await askServer(
          server,
          question,
          { timeout, tcp, plain: silent.has(server) },
          signal,
        );
        if (isAnswer(outcome)) return outcome;
        // Some servers drop questions with EDNS, so those that do not answer are asked without it in the next round.
        if (outcome instanceof DnsError && outcome.code === 'ETIMEOUT') silent.add(server);
        failure = outcome;
      }
    }
    if (failure instanceof DnsError) throw failure;
    return failure as DnsAnswer;
  };
}

/** Counts the questions, for `options rotate`. */
let rotation = 0;

/** One for each path, so that sessions do not read it again. A program has one or two. */
const resolvConfs = new Map<string, ResolvConf>();

function configurationOf(options: TransportOptions): () => ResolverConfiguration {
  const { resolvConf = '/etc/resolv.conf', timeout, tries } = options;
  for (const [name, value] of Object.entries({ timeout, tries })) {
    if (value !== undefined) checkInteger(`DnsSession: ${name}`, value, 1);
  }
  checkLine('DnsSession: resolvConf', resolvConf);
  if (options.servers !== undefined) {
    const servers = options.servers.map(serverOf);
    if (servers.length === 0) throw badArgument('DnsSession: servers: none is given');
    const fixed = { servers, timeout: timeout ?? DEFAULT_TIMEOUT, tries: tries ?? DEFAULT_TRIES };
    return () => ({ ...fixed, rotate: false, tcp: false });
  }
  const file = resolvConfs.get(resolvConf) ?? new ResolvConf(resolvConf);
  resolvConfs.set(resolvConf, file);
  return () => {
    const { current } = file;
    return { ...current, timeout: timeout ?? current.timeout, tries: tries ?? current.tries };
  };
}

function serverOf(text: string): ServerAddress {
  const server = parseServer(text);
  if (server !== undefined) return server;
  const examples = '192.0.2.53:53 or [2001:db8::53]:53';
  throw badArgument(
    `DnsSession: servers: ${text} is not an IP address with an optional port, such as ${examples}`,
  );
}

/** Whether an outcome is an answer about the name, rather than a failure of the server. */
function isAnswer(outcome: DnsAnswer | DnsError): outcome is DnsAnswer {
  return !(outcome instanceof DnsError) && (outcome.rcode === 'NOERROR' || outcome.rcode === 'NXDOMAIN');
}

/** How a question is sent. */
interface Manner {
  /** In milliseconds. */
  readonly timeout: number;
  /** Whether it is sent over TCP from the beginning. */
  readonly tcp: boolean;
  /** Whether it is sent without EDNS because the server has not answered it with EDNS. */
  readonly plain?: boolean;
  /** Whether it does not keep the process alive. */
  readonly background?: boolean;
}

/** Asks a server, and remembers how it has answered. @throws DnsError ECANCELLED */
async function askServer(
  server: Server,
  question: DnsQuestion,
  manner: Manner,
  signal?: AbortSignal,
): Promise<DnsAnswer | DnsError> {
  const outcome = await outcomeOf(server, question, manner, signal);
  if (!isAnswer(outcome)) {
    server.failed();
    return outcome;
  }
  server.answered();
  if (manner.plain) server.failsWithEdns();
  return outcome;
}

async function outcomeOf(
  server: Server,
  question: DnsQuestion,
  manner: Manner,
  signal?: AbortSignal,
): Promise<DnsAnswer | DnsError> {
  const { timeout, background = false } = manner;
  using deadline = new Deadline(timeout, signal);
  if (background) deadline.unref();
  const fail = (code: DnsErrorCode, detail: string) =>
    new DnsError(code, question.type, question.name, `${server.address}: ${detail}`);
  try {
    return await answerOf(server, manner, { question, signal: deadline.signal, ref: !background });
  } catch (error) {
    if (signal?.aborted) throw fail('ECANCELLED', 'the lookup was aborted');
    if (deadline.passed) return fail('ETIMEOUT', `no answer within ${timeout} ms`);
    return fail(error instanceof MalformedAnswer ? 'EBADRESP' : 'ESERVFAIL', (error as Error).message);
  }
}

/** Rcodes of servers that do not understand a question with an OPT record (RFC 6891 7). */
const EDNS_REFUSED: ReadonlySet<string> = new Set(['FORMERR', 'NOTIMP', 'BADVERS']);

async function answerOf(
  server: Server,
  { tcp, plain = false }: Manner,
  query: Omit<Query, 'edns'>,
): Promise<DnsAnswer> {
  const ask = async (edns: boolean) => {
    const answer = tcp ? undefined : await askUdp(server, { ...query, edns });
    return answer === undefined || answer.truncated ? askTcp(server, { ...query, edns }) : answer;
  };
  const edns = server.edns && !plain;
  const answer = await ask(edns);
  if (!edns || !EDNS_REFUSED.has(answer.rcode)) return answer;
  const second = await ask(false);
  if (isAnswer(second)) server.failsWithEdns();
  return second;
}

/** Sends the question to servers that have failed some time ago too, in order to know when they are back. */
function probe(servers: readonly Server[], question: DnsQuestion, manner: Manner): void {
  for (const server of servers) {
    if (server.takeProbe()) void askServer(server, question, { ...manner, background: true });
  }
}
