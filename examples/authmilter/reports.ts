/** Aggregate reports to the domains that ask for them (DMARC, RFC 9990): each evaluated message is counted, and the mails are sent by a command. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { hostname as ownName } from 'node:os';
import {
  type DmarcReportStore,
  type DmarcResult,
  type ReportMail,
  reportEntry,
  type SentReport,
  sendReports,
} from 'tsmilter/dmarc';
import { ConfigError } from '../shared/config-error';
import { resolverFor } from '../shared/dns';
import type { Log } from '../shared/log';
import type { Config } from './config';
import type { Decision } from './decision';
import type { Findings } from './incoming';
import { openStore } from './report-store';

/** Characters of what the MTA's program says of an error. */
const MAX_ERROR = 500;

/** Those who get reports must have consented in DNS: there may be many domains, and no session waits. */
const REPORT_LIMITS = { max_lookups: 100_000, max_time: 3_600 };

/** Counts the messages of this thread. */
export class Reports {
  readonly #store: DmarcReportStore | null;
  readonly #log: Pick<Log, 'write'>;

  /** @throws MilterError if the store cannot be used */
  constructor(config: Config['reports'], log: Pick<Log, 'write'>) {
    this.#store = openStore(config);
    this.#log = log;
  }

  /** Counts a message, which does not wait for it. One that is deferred comes again, and is counted then. */
  record(findings: Findings, decision: Decision, dryRun: boolean): void {
    const { envelope, spf, dkim, dmarc } = findings;
    if (this.#store === null || dmarc === null || decision.action === 'tempfail') return;
    const envelopeFrom =
      envelope.sender
        .replace(/^<(.*)>$/s, '$1')
        .split('@')
        .at(-1) ?? '';
    const facts = { ip: envelope.ip ?? '', envelopeFrom, dkim, spf: spf ?? undefined };
    const entry = reportEntry(asApplied(dmarc, decision, dryRun), facts);
    if (entry === undefined) return;
    this.#store.add(entry, Date.now()).then(
      (counted) => counted || this.#log.write('the store of reports is full: a message is not counted'),
      (error: Error) => this.#log.write(`a message is not counted: ${error.message}`),
    );
  }

  async close(): Promise<void> {
    await this.#store?.close();
  }
}

/** What was really done, where our policy and not the domain's has decided. */
function asApplied(dmarc: DmarcResult, { action }: Decision, dryRun: boolean): DmarcResult {
  const applied = (disposition: DmarcResult['disposition'], comment: string): DmarcResult => ({
    ...dmarc,
    disposition,
    overrides: [...dmarc.overrides, { type: 'local_policy', comment }],
  });
  if (dmarc.disposition === 'none') return dmarc;
  if (dryRun) return applied('none', 'dry run');
  const isStricter = dmarc.disposition === 'quarantine' && action === 'reject';
  return isStricter ? applied('reject', 'what is to be quarantined is refused') : dmarc;
}

/** Sends the reports that are due. @returns whether all of them could be sent @throws ConfigError without a store */
export async function sendDueReports(config: Config, log: Pick<Log, 'write'>): Promise<boolean> {
  const { reports, verify } = config;
  const { org_name, email, extra_contact, sendmail } = reports;
  const store = openStore(reports);
  if (store === null || org_name === null || email === null)
    throw new ConfigError('[reports] store: is not set');
  try {
    const results = await sendReports({
      store,
      resolver: resolverFor({ nameservers: verify.nameservers, ...REPORT_LIMITS }),
      submitter: verify.authserv_id ?? ownName(),
      orgName: org_name,
      email,
      ...(extra_contact !== null && { extraContactInfo: extra_contact }),
      send: (mail) => submit(sendmail, mail),
    });
    for (const result of results) logResult(result, log);
    return results.every(({ errors }) => errors.length === 0);
  } finally {
    await store.close();
  }
}

function logResult({ domain, sent, refused, errors, kept }: SentReport, log: Pick<Log, 'write'>): void {
  for (const address of sent) log.write(`report for ${domain} sent to ${address}`);
  for (const { uri, reason } of refused) log.write(`report for ${domain} not sent to ${uri}: ${reason}`);
  for (const error of errors) log.write(`report for ${domain} not sent: ${(error as Error).message}`);
  if (kept) log.write(`report for ${domain} is kept for another try`);
}

/** Hands a mail to the MTA by its program, as Sendmail's: it expects lines that end in LF. */
async function submit(program: string, { from, to, raw }: ReportMail): Promise<void> {
  const child = spawn(program, ['-i', '-f', from, '--', to], { stdio: ['pipe', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (text) => {
    said = `${said}${text}`.slice(0, MAX_ERROR);
  });
  child.stdin.on('error', () => {}); // its exit code says why it does not read
  child.stdin.end(raw.toString('latin1').replaceAll('\r\n', '\n'), 'latin1');
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`${program} has ended with ${code}: ${said.trim()}`);
}
