/** Verifies an address with its mail server, or sends it a message from the null sender. */
import { hostname } from 'node:os';
import { DnsSession } from '../dns/index.js';
import { Deadline, untilAborted } from '../internal/deadline.js';
import { badArgument } from '../internal/errors.js';
import {
  checkBooleans,
  checkInteger,
  checkLine,
  checkOptions,
  type OptionNames,
} from '../internal/validate.js';
import { Conversation, type DsnStage, HostFailure, oneLine, type Reply } from './conversation.js';
import { type DsnResolver, type MailHost, mailHosts, NoMailHost } from './hosts.js';
import { type Mailbox, readMailbox } from './mailbox.js';

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

/**
 * A reply for the SMTP client: a code, and a text of one line, which begins with an enhanced status code if the host sent one; and
 * the stage at which it was given. Only a refusal with 5xx at `rcpt` says that the address does not exist; at `greeting`, `ehlo`
 * and `mail` the host may have refused this client, whatever the address is.
 */
export type DsnRefusal = [code: number, text: string, stage: DsnStage];

const accepted = ({ code }: Reply) => code >= 200 && code < 300;
const refused = ({ code }: Reply) => code >= 500;

/**
 * Verifies an address by a callback (pymilter's `dsn.send_dsn`): it asks the mail server whether it accepts mail for the
 * address.
 *
 * The hosts of the MX records are tried in order, or the addresses of the domain if it has none. If a host cannot be reached,
 * refuses this client, or replies with 4xx, the next one is tried. The callback uses the null sender, like a notice. A host
 * that refuses the null sender, which RFC 5321 forbids, is asked again with postmaster as sender. A host that calls itself by the
 * name `receiver` is this one: the domain's MX record is fraudulent, or mail to it would loop.
 *
 * With a message, for example one of {@link createMsg}, the message is sent to the address, always from the null sender.
 *
 * Use callbacks only for mail that you would accept otherwise, and cache the result (`tsmilter/cache`): if the sender is
 * forged, the host that is asked has nothing to do with the message.
 *
 * @param address `ann@example.com`, with or without angle brackets. A malformed one is refused with 553 at the stage `address`:
 *   no address of an untrusted sender makes this throw
 * @param message a message with CRLF or LF line breaks
 * @returns null if the mail is accepted; otherwise the reply of the host, or 4xx if no host could be reached
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT for an invalid option, or an address that is not a string
 */
export async function sendDsn(
  address: string,
  message: string | Buffer | null = null,
  options: DsnOptions = {},
): Promise<DsnRefusal | null> {
  checkString('sendDsn: address', address);
  const settings = settingsOf(options);
  const mailbox = readMailbox(address);
  if (mailbox === undefined) {
    return [553, oneLine(`5.1.3 ${JSON.stringify(address.slice(0, 100))} is not a mail address`), 'address'];
  }
  const { domain } = mailbox;
  using deadline = new Deadline(settings.maxTime, options.signal);
  const { signal } = deadline;
  const hosts = mailHosts(domain, settings.resolver(signal), settings.privateHosts);
  let failure: DsnRefusal = [450, `4.4.1 no mail server of ${domain} replied in time`, 'connect'];
  try {
    for (let left = settings.maxHosts; left > 0; left--) {
      const next = await untilAborted(hosts.next(), signal);
      if (next === undefined || next.done) break;
      const { refusal, final } = await askHost(next.value, mailbox, message, settings, signal);
      if (refusal === null || final) return refusal;
      // A host that cannot be reached says less than one that has replied.
      if (refusal[2] !== 'connect' || failure[2] === 'connect') failure = refusal;
    }
  } catch (error) {
    if (error instanceof NoMailHost) return [error.reply[0], oneLine(error.reply[1]), 'dns'];
    throw error;
  }
  return failure;
}

/** The outcome for one host. */
interface Outcome {
  readonly refusal: DsnRefusal | null;
  /** Whether no other host is asked. */
  readonly final: boolean;
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
  checkBooleans('sendDsn: ', { tls, privateHosts });
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
  mailbox: Mailbox,
  message: string | Buffer | null,
  { conversation: how, timeout, postmaster }: Settings,
  signal: AbortSignal,
): Promise<Outcome> {
  using deadline = new Deadline(timeout, signal);
  try {
    using conversation = await Conversation.open(host, how, deadline.signal);
    if (conversation.calledItself(how.name)) {
      const text = oneLine(`5.4.6 fraudulent MX of ${mailbox.domain}: ${host.name} calls itself ${how.name}`);
      return { refusal: [553, text, 'ehlo'], final: true };
    }
    if (mailbox.utf8 && !conversation.offers('SMTPUTF8')) {
      return {
        refusal: [553, oneLine(`5.6.7 ${host.name} does not support SMTPUTF8`), 'ehlo'],
        final: false,
      };
    }
    if (message === null) return await verifyRecipient(conversation, mailbox, postmaster, deadline.signal);
    await conversation.send('', mailbox.path, message, deadline.signal);
    conversation.quit();
    return { refusal: null, final: true };
  } catch (error) {
    if (error instanceof HostFailure) return outcomeOf(refusalFromFailure(host, error));
    throw error;
  }
}

async function verifyRecipient(
  conversation: Conversation,
  { path, utf8 }: Mailbox,
  postmaster: string,
  signal: AbortSignal,
): Promise<Outcome> {
  const extension = utf8 ? ' SMTPUTF8' : '';
  let last: Reply = { code: 0, text: '' };
  let stage: DsnStage = 'mail';
  const commands = async (send: (command: string) => Promise<Reply>) => {
    last = await send(`MAIL FROM:<>${extension}`);
    if (refused(last)) last = await send(`MAIL FROM:<${postmaster}>${extension}`);
    if (!accepted(last)) return;
    stage = 'rcpt';
    last = await send(`RCPT TO:<${path}>`);
  };
  await conversation.runCommands(commands, () => stage, signal);
  conversation.quit();
  return accepted(last) ? { refusal: null, final: true } : outcomeOf(refusalFromReply(last, stage));
}

/** A permanent refusal of the address or the message is final. A refusal of this client may be that of one host only. */
function outcomeOf(refusal: DsnRefusal): Outcome {
  const [code, , stage] = refusal;
  return { refusal, final: code >= 500 && (stage === 'rcpt' || stage === 'data') };
}

/** The refusal for a reply. A reply with an invalid code is a temporary failure. */
function refusalFromReply({ code, text }: Reply, stage: DsnStage): DsnRefusal {
  return code >= 400 && code <= 599
    ? [code, text, stage]
    : [450, oneLine(`4.5.0 invalid reply: ${code} ${text}`), stage];
}

function refusalFromFailure(host: MailHost, { reply, stage, message }: HostFailure): DsnRefusal {
  if (reply !== undefined) return refusalFromReply(reply, stage);
  return [450, oneLine(`4.4.1 ${host.name} [${host.address}]: ${message}`), stage];
}

function checkString(where: string, value: unknown): asserts value is string {
  if (typeof value !== 'string') throw badArgument(`${where} must be a string, not ${typeof value}`);
}
