/** Verifies an address with its mail server, or sends it a message from the null sender. */
import { hostname } from 'node:os';
import { domainToASCII } from 'node:url';
import { Deadline, untilAborted } from '../dns/deadline.js';
import { DnsSession } from '../dns/index.js';
import { badArgument } from '../internal/errors.js';
import { checkInteger, checkLine, checkOptions, type OptionNames } from '../internal/validate.js';
import { Conversation, oneLine, type Reply, replyOf } from './conversation.js';
import { type DsnResolver, type MailHost, mailHosts, NoMailHost } from './hosts.js';

/** Options for connections to mail servers. */
export interface DsnOptions {
  /** The name of this host, for EHLO and the address of the postmaster. Default: the system's host name. */
  readonly receiver?: string;
  /** The DNS resolver. Default: a new DnsSession. */
  readonly resolver?: DsnResolver;
  /** The port of the mail servers. Default: 25. */
  readonly port?: number;
  /** Milliseconds for one host, including the time to connect. Default: 30,000. */
  readonly timeout?: number;
  /** Milliseconds for all hosts together. Default: 120,000. */
  readonly maxTime?: number;
  /** Maximum number of addresses to try. Default: 5. */
  readonly maxHosts?: number;
  /** Whether to use TLS if a host offers it. Certificates are not checked. Default: true. */
  readonly tls?: boolean;
  /** Whether to connect to addresses that are not public. An untrusted domain can put them in its MX records. Default: false. */
  readonly privateHosts?: boolean;
  /** The local address to connect from. Default: chosen by the system. */
  readonly localAddress?: string;
  /** Aborts the attempt, for example `this.signal` of a filter. */
  readonly signal?: AbortSignal;
}

/** A reply for the SMTP client: a code, and a text of one line, which begins with an enhanced status code if the host sent one. */
export type DsnRefusal = [code: number, text: string];

/** The maximum length of an address in MAIL and RCPT (RFC 5321 4.5.3.1.3). */
const MAX_PATH_LENGTH = 256;

const accepted = ({ code }: Reply) => code >= 200 && code < 300;
const refused = ({ code }: Reply) => code >= 500;

/**
 * Verifies an address by a callback (pymilter's `dsn.send_dsn`): it asks the mail server whether it accepts mail for the
 * address.
 *
 * The hosts of the MX records are tried in order, or the addresses of the domain if it has none. If a host cannot be reached,
 * refuses the connection, or replies with 4xx, the next one is tried. The callback uses the null sender, like a notice. A host
 * that refuses the null sender, which RFC 5321 forbids, is asked again with postmaster as sender.
 *
 * With a message, for example one of {@link createMsg}, the message is sent to the address, always from the null sender.
 *
 * Use callbacks only for mail that you would accept otherwise, and cache the result (`tsmilter/cache`): if the sender is
 * forged, the host that is asked has nothing to do with the message.
 *
 * @param address `ann@example.com`, without angle brackets
 * @param message a message with CRLF or LF line breaks
 * @returns null if the mail is accepted; otherwise the reply of the host, or 4xx if no host could be reached
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT for an invalid address or option
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
  let failure: DsnRefusal = [450, `4.4.1 no mail server of ${domain} replied in time`];
  try {
    for (let left = settings.maxHosts; left > 0; left--) {
      const next = await untilAborted(hosts.next(), signal);
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

/** The outcome for one host. If it did not get as far as answering, the next host is tried. */
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
      return { answered, refusal: await verifyRecipient(conversation, address, postmaster, deadline.signal) };
    }
    await conversation.send('', address, message, deadline.signal);
    conversation.quit();
    return { answered, refusal: null };
  } catch (error) {
    return { answered, refusal: refusalFromError(host, error as Error) };
  }
}

async function verifyRecipient(
  conversation: Conversation,
  address: string,
  postmaster: string,
  signal: AbortSignal,
): Promise<DsnRefusal | null> {
  let last: Reply = { code: 0, text: '' };
  await conversation.runCommands(async (send) => {
    last = await send('MAIL FROM:<>');
    if (refused(last)) last = await send(`MAIL FROM:<${postmaster}>`);
    if (accepted(last)) last = await send(`RCPT TO:<${address}>`);
  }, signal);
  conversation.quit();
  return accepted(last) ? null : refusalFromReply(last);
}

/** The refusal for a reply. A reply with an invalid code is a temporary failure. */
function refusalFromReply({ code, text }: Reply): DsnRefusal {
  return code >= 400 && code <= 599 ? [code, text] : [450, `4.5.0 invalid reply: ${code} ${text}`];
}

/** The refusal for an error of nodemailer, which contains the reply of the host if there was one. */
function refusalFromError(
  host: MailHost,
  error: Error & { response?: string; responseCode?: number },
): DsnRefusal {
  if (error.responseCode !== undefined && error.response !== undefined)
    return refusalFromReply(replyOf(error.response));
  return [450, oneLine(`4.4.1 ${host.name} [${host.address}]: ${error.message}`)];
}

function domainOf(address: string): string {
  checkLine('sendDsn: address', address);
  const at = address.lastIndexOf('@');
  const wellFormed = at > 0 && at < address.length - 1 && !/[\s<>\p{Cc}]/u.test(address);
  if (!wellFormed || address.length > MAX_PATH_LENGTH) {
    const shown = JSON.stringify(address.slice(0, MAX_PATH_LENGTH));
    throw badArgument(`sendDsn: ${shown} is not an address of the form user@domain`);
  }
  const domain = address.slice(at + 1);
  return /^[\x21-\x7e]+$/.test(domain) ? domain : domainToASCII(domain) || domain;
}
