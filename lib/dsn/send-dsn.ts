/** Asks the mail server of an address whether it takes mail, or gives it a message from nobody. */
import { hostname } from 'node:os';
import { domainToASCII } from 'node:url';
import { Deadline, inTime } from '../dns/deadline.js';
import { DnsSession } from '../dns/index.js';
import { badArgument } from '../internal/errors.js';
import { checkInteger, checkLine, checkOptions, type OptionNames } from '../internal/validate.js';
import { Conversation, oneLine, type Reply, replyOf } from './conversation.js';
import { type DsnResolver, type MailHost, mailHosts, NoMailHost } from './hosts.js';

/** How mail servers are reached. */
export interface DsnOptions {
  /** This host's name, for EHLO and the postmaster's address. Default: the system's host name. */
  readonly receiver?: string;
  /** Default: a DnsSession of its own. */
  readonly resolver?: DsnResolver;
  /** Default: 25. */
  readonly port?: number;
  /** Milliseconds for one host, from connecting to its answer. Default: 30,000. */
  readonly timeout?: number;
  /** Milliseconds in all. Default: 120,000. */
  readonly maxTime?: number;
  /** Addresses that are tried. Default: 5. */
  readonly maxHosts?: number;
  /** Whether to use TLS where a host has it. Certificates are not checked. Default: true. */
  readonly tls?: boolean;
  /** Whether to connect to addresses that are not public, as an MX record of a stranger may want it. Default: false. */
  readonly privateHosts?: boolean;
  /** The address to connect from. */
  readonly localAddress?: string;
  /** Gives up when it is aborted, `this.signal` of a filter say. */
  readonly signal?: AbortSignal;
}

/** What a client can be told: an SMTP code, and a text in one line that begins with an extended code where the host gave one. */
export type DsnRefusal = [code: number, text: string];

/** Longer than any address may be (RFC 5321 4.5.3.1.3). */
const MAX_PATH_LENGTH = 256;

const accepted = ({ code }: Reply) => code >= 200 && code < 300;
const refused = ({ code }: Reply) => code >= 500;

/**
 * Calls a sender back (pymilter's `dsn.send_dsn`): does the mail server of this address take mail for it?
 *
 * Its hosts are asked in the order of their MX records, or without any the domain's own addresses. A host that cannot be
 * reached, turns everybody away, or says 4xx, leaves the question to the next. The question comes from the null sender, as that of a notice
 * does; a host that refuses it (RFC 5321 forbids that) is asked once more in the name of the postmaster.
 *
 * With a message, it is sent: a notice, made by {@link createMsg} say. Then nothing but the null sender will do.
 *
 * Call back only for mail that you would accept otherwise, and remember the answer (`tsmilter/cache`): the host that is asked did
 * not send you anything, if the sender is forged.
 *
 * @param address `ann@example.com`, without angle brackets
 * @param message with CRLF or LF line ends
 * @returns null where it takes mail; otherwise what its host has said, or 4xx where nobody could be asked
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT for what is not an address, or a bad option
 */
export async function sendDsn(
  address: string,
  message: string | Buffer | null = null,
  options: DsnOptions = {},
): Promise<DsnRefusal | null> {
  const domain = domainOf(address);
  const settings = settingsOf(options);
  using deadline = new Deadline(settings.maxTime, options.signal);
  const { signal } = deadline;
  const hosts = mailHosts(domain, settings.resolver(signal), settings.privateHosts);
  let failure: DsnRefusal = [450, `4.4.1 no mail server of ${domain} answers in time`];
  try {
    for (let left = settings.maxHosts; left > 0; left--) {
      const next = await inTime(hosts.next(), signal);
      if (next === undefined || next.done) break;
      const outcome = await askHost(next.value, address, message, settings, signal);
      if (outcome.answered && (outcome.refusal === null || outcome.refusal[0] >= 500)) return outcome.refusal;
      failure = outcome.refusal ?? failure;
    }
  } catch (error) {
    if (error instanceof NoMailHost) return [error.reply[0], oneLine(error.reply[1])];
    throw error;
  }
  return failure;
}

/** What a host has said; it has not answered where it did not come to the question, and the next one may know. */
interface Outcome {
  readonly answered: boolean;
  readonly refusal: DsnRefusal | null;
}

const OPTIONS: OptionNames<DsnOptions> = {
  receiver: true,
  resolver: true,
  port: true,
  timeout: true,
  maxTime: true,
  maxHosts: true,
  tls: true,
  privateHosts: true,
  localAddress: true,
  signal: true,
};

type Settings = ReturnType<typeof settingsOf>;

function settingsOf(options: DsnOptions) {
  checkOptions('sendDsn', options, OPTIONS);
  const { receiver = hostname(), port = 25, timeout = 30_000, maxTime = 120_000, maxHosts = 5 } = options;
  const { tls = true, privateHosts = false, localAddress, resolver } = options;
  checkLine('sendDsn: receiver', receiver);
  checkInteger('sendDsn: port', port, 1, 65535);
  for (const [name, value] of Object.entries({ timeout, maxTime, maxHosts })) {
    checkInteger(`sendDsn: ${name}`, value, 1);
  }
  return {
    conversation: { port, name: receiver, tls, localAddress },
    postmaster: `postmaster@${receiver}`,
    timeout,
    maxTime,
    maxHosts,
    privateHosts,
    resolver: (signal: AbortSignal) => resolver ?? new DnsSession({ signal }),
  };
}

async function askHost(
  host: MailHost,
  address: string,
  message: string | Buffer | null,
  { conversation: how, timeout, postmaster }: Settings,
  signal: AbortSignal,
): Promise<Outcome> {
  using deadline = new Deadline(timeout, signal);
  let answered = false;
  try {
    using conversation = await Conversation.open(host, how, deadline.signal);
    answered = true;
    if (message === null) {
      return { answered, refusal: await callBack(conversation, address, postmaster, deadline.signal) };
    }
    await conversation.send('', address, message, deadline.signal);
    conversation.quit();
    return { answered, refusal: null };
  } catch (error) {
    return { answered, refusal: refusalOf(host, error as Error) };
  }
}

async function callBack(
  conversation: Conversation,
  address: string,
  postmaster: string,
  signal: AbortSignal,
): Promise<DsnRefusal | null> {
  let last: Reply = { code: 0, text: '' };
  await conversation.talk(async (send) => {
    last = await send('MAIL FROM:<>');
    if (refused(last)) last = await send(`MAIL FROM:<${postmaster}>`);
    if (accepted(last)) last = await send(`RCPT TO:<${address}>`);
  }, signal);
  conversation.quit();
  return accepted(last) ? null : refusalBy(last);
}

/** A host that says what no host should say is one that has failed. */
function refusalBy({ code, text }: Reply): DsnRefusal {
  return code >= 400 && code <= 599 ? [code, text] : [450, `4.5.0 an answer that is none: ${code} ${text}`];
}

/** What nodemailer throws has the host's answer, where it was one. */
function refusalOf(host: MailHost, error: Error & { response?: string; responseCode?: number }): DsnRefusal {
  if (error.responseCode !== undefined && error.response !== undefined)
    return refusalBy(replyOf(error.response));
  return [450, oneLine(`4.4.1 ${host.name} [${host.address}]: ${error.message}`)];
}

function domainOf(address: string): string {
  checkLine('sendDsn: address', address);
  const at = address.lastIndexOf('@');
  const wellFormed = at > 0 && at < address.length - 1 && !/[\s<>\p{Cc}]/u.test(address);
  if (!wellFormed || address.length > MAX_PATH_LENGTH) {
    const shown = JSON.stringify(address.slice(0, MAX_PATH_LENGTH));
    throw badArgument(`sendDsn: ${shown} is not an address: write user@domain`);
  }
  const domain = address.slice(at + 1);
  return /^[\x21-\x7e]+$/.test(domain) ? domain : domainToASCII(domain) || domain;
}
