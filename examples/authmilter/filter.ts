/** The filter: the steps of a session in their order, and what is done to a message at its end. */
import { hostname as ownName } from 'node:os';
import * as Milter from 'tsmilter';
import { removeAuthRes } from 'tsmilter/authres';
import { printable } from 'tsmilter/utils';
import { resolverFor } from '../shared/dns';
import type { Log } from '../shared/log';
import { type Place, placeOf } from '../shared/networks';
import { dnsOf } from './config';
import type { Decision } from './decision';
import type { LiveSettings } from './live-settings';
import { Message, type Outcome } from './message';
import type { Reports } from './reports';
import { taskFor } from './task';

/** Shared by all sessions. */
export interface Shared {
  readonly live: Promise<Pick<LiveSettings, 'current'>>;
  readonly log: Pick<Log, 'write'>;
  readonly reports: Promise<Pick<Reports, 'record'>>;
}

/** Header values come with the space behind the colon, and are sent so: `simple` canonicalization needs each byte. */
@Milter.headerLeadingSpace
export class AuthFilter extends Milter.Base {
  readonly #id = Milter.uniqueID();
  readonly #shared: Shared;
  #live!: Pick<LiveSettings, 'current'>;
  /** Null for a client without an address, which is a program on this host. */
  #ip: string | null = null;
  #place: Place = 'external';
  #helo: string | null = null;
  #message: Message | null = null;

  constructor(shared: Shared) {
    super();
    this.#shared = shared;
  }

  #log(...words: readonly unknown[]): void {
    this.#shared.log.write(`[${this.#id}]`, ...words);
  }

  @Milter.symlist('j', '{daemon_name}')
  override async connect(hostname: string, ...[family, hostaddr]: Milter.Peer): Promise<Milter.Status> {
    if (family === Milter.AF_INET || family === Milter.AF_INET6) this.#ip = hostaddr[0];
    this.#live = await this.#shared.live;
    const settings = this.#live.current;
    const resolver = resolverFor(dnsOf(settings), this.signal);
    this.#place = await placeOf(this.#ip, hostname, settings.clients, resolver, (name, error) =>
      this.#log(`${name} in the lists of networks is not looked up:`, error.message),
    );
    this.#log('connect from', hostname, 'at', this.#ip ?? 'no address', this.#place);
    return Milter.CONTINUE;
  }

  @Milter.noreply
  override hello(hostname: string): Milter.Answer {
    this.#helo = hostname;
    return Milter.CONTINUE;
  }

  @Milter.symlist('i', '{auth_authen}')
  override envfrom(sender: string, ...params: string[]): Milter.Answer {
    this.#message?.abandon();
    const settings = this.#live.current;
    const client = {
      place: this.#place,
      user: this.getsymval('{auth_authen}') || null,
      port: this.getsymval('{daemon_name}'),
    };
    const { task, because } = taskFor(client, settings.clients);
    const utf8 = params.some((param) => param.toUpperCase() === 'SMTPUTF8');
    const envelope = { ip: this.#ip, helo: this.#helo, sender, utf8 };
    this.#message = new Message(envelope, task, this.#authservId(settings.verify.authserv_id), settings);
    this.#log(`mail from ${sender}: ${task} (${because})`);
    return Milter.CONTINUE;
  }

  override envrcpt(recipient: string): Milter.Answer {
    const message = this.#message;
    if (!message) return Milter.CONTINUE;
    const result = message.recipients.add(recipient);
    if (result !== 'forged' && result !== 'expired') return Milter.CONTINUE;
    const text = `This address is ${result}: we do not forward to it.`;
    const refusal: Decision = {
      action: 'reject',
      reason: `SRS address ${recipient}: ${result}`,
      reply: { code: '550', extended: '5.1.1', text },
    };
    return this.#apply(refusal, message.settings.milter.dry_run);
  }

  override header(name: string, value: string): Milter.Answer {
    this.#message?.header(name, value);
    return Milter.CONTINUE;
  }

  override eoh(): Milter.Answer {
    this.#message?.eoh();
    return Milter.CONTINUE;
  }

  @Milter.borrowed
  override body(chunk: Buffer): Milter.Answer {
    this.#message?.body(chunk);
    return Milter.CONTINUE;
  }

  override async eom(): Promise<Milter.Status> {
    const message = this.#message;
    this.#message = null;
    if (!message) return Milter.CONTINUE;
    const outcome = await message.end();
    for (const note of outcome.notes) this.#log(note);
    const { findings, decision } = outcome;
    // The settings of the message's begin, in the report as in the verdict, whatever has been reloaded since.
    const { dry_run } = message.settings.milter;
    if (findings) (await this.#shared.reports).record(findings, decision, dry_run);
    const verdict = this.#apply(decision, dry_run);
    if (verdict === Milter.CONTINUE) this.#change(message, outcome);
    return verdict;
  }

  override abort(): Milter.Answer {
    this.#message?.abandon();
    this.#message = null;
    return Milter.CONTINUE;
  }

  override close(): Milter.Answer {
    this.#message?.abandon();
    return Milter.CONTINUE;
  }

  #authservId(configured: string | null): string {
    return configured ?? (this.getsymval('j')?.trim() || ownName());
  }

  /** Does what was decided, or says that it would have been done. */
  #apply({ action, reason, reply }: Decision, isDryRun: boolean): Milter.Status {
    if (action === 'accept' || isDryRun) {
      this.#log(
        action === 'accept' ? `accept: ${reason}` : `accept (dry run, otherwise ${action}): ${reason}`,
      );
      return Milter.CONTINUE;
    }
    this.#log(`${action}: ${reason}`);
    if (action === 'quarantine') {
      this.quarantine(printable(reason));
      return Milter.CONTINUE;
    }
    if (reply) this.setReplyText(reply.code, reply.extended, reply.text);
    return action === 'reject' ? Milter.REJECT : Milter.TEMPFAIL;
  }

  /** Forged fields go, ours come to the top in the order: Authentication-Results, signatures. The envelope is last. */
  #change(message: Message, { authenticationResults, signatures }: Outcome): void {
    const { verify } = message.settings;
    if (message.task !== 'none') {
      const ids = [this.#authservId(verify.authserv_id), ...verify.own_authserv_ids];
      const removed = removeAuthRes(this, ids, message.values('Authentication-Results'));
      if (removed > 0) this.#log(`removed ${removed} forged Authentication-Results`);
    }
    for (const [name, value] of signatures.toReversed()) this.addheader(name, value, 0);
    if (authenticationResults !== null)
      this.addheader('Authentication-Results', ` ${authenticationResults}`, 0);
    this.#rewriteEnvelope(message);
  }

  #rewriteEnvelope(message: Message): void {
    const { remove, add, sender } = message.recipients.changes(message.sender);
    for (const recipient of remove) this.delrcpt(recipient);
    for (const recipient of add) this.addrcpt(recipient);
    for (const [at, recipient] of remove.entries()) this.#log(`SRS: ${recipient} becomes ${add[at]}`);
    if (sender === null) return;
    this.chgfrom(sender);
    this.#log(`SRS: ${message.sender} becomes ${sender}`);
  }
}
