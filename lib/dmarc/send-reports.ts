/** Sending the aggregate reports that are due. */
import { domainNameOf } from '../dkim/domain.js';
import type { TxtResolver } from '../dkim/index.js';
import { badArgument } from '../internal/errors.js';
import { checkLine, checkOptions, type OptionNames } from '../internal/validate.js';
import { type RefusedDestination, reportDestinations } from './report-destinations.js';
import { type ReportMail, type ReportSender, reportMails } from './report-mail.js';
import type { DmarcReportStore, StoredReport } from './report-store.js';

/** Which reports are sent, and how. */
export interface SendReportsOptions extends ReportSender {
  readonly store: DmarcReportStore;
  /** For the consent of addresses outside the domain of a report: a DnsSession of `tsmilter/dns`, say. */
  readonly resolver: TxtResolver;
  /** Hands a mail to the MTA. A report stays in the store if this rejects for all of its mails, and is tried again next time. */
  readonly send: (mail: ReportMail) => Promise<unknown>;
  /** Milliseconds since 1970. Default: Date.now. */
  readonly now?: () => number;
}

/** What became of a report. */
export interface SentReport {
  readonly domain: string;
  readonly sent: readonly string[];
  readonly refused: readonly RefusedDestination[];
  /** Errors of `send`. */
  readonly errors: readonly unknown[];
  /** Whether it is kept for another try: nothing was sent, and a later try may succeed. */
  readonly kept: boolean;
}

const OPTIONS: OptionNames<SendReportsOptions> = {
  store: true,
  resolver: true,
  send: true,
  now: true,
  submitter: true,
  orgName: true,
  email: true,
  extraContactInfo: true,
};
/** After so many periods a report that cannot be sent is dropped. */
const MAX_AGE_PERIODS = 7;

/**
 * Sends the reports whose period has ended, and removes them from the store. Call it once a day, or more often, in one process.
 *
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT for a bad option, ERR_MILTER_STORE if the store fails
 */
export async function sendReports(options: SendReportsOptions): Promise<SentReport[]> {
  checkOptions('sendReports', options, OPTIONS);
  for (const name of ['submitter', 'orgName', 'email'] as const)
    checkLine(`sendReports: ${name}`, options[name]);
  const submitter = domainNameOf(options.submitter);
  if (submitter === undefined) throw badArgument('sendReports: submitter must be a domain name');
  const { store, now = Date.now } = options;
  const results: SentReport[] = [];
  let after: string | undefined;
  for (;;) {
    const report = await store.next(now(), after);
    if (!report) return results;
    after = report.id;
    const result = await sendReport(report, { ...options, submitter }, now());
    if (!result.kept) await store.remove(report.id);
    results.push(result);
  }
}

async function sendReport(
  report: StoredReport,
  options: SendReportsOptions,
  now: number,
): Promise<SentReport> {
  const { policy, begin, end } = report;
  const { destinations, refused: unverified } = await reportDestinations(
    policy.domain,
    policy.rua,
    options.resolver,
  );
  const { submitter, orgName, email, extraContactInfo } = options;
  const sender = {
    submitter,
    orgName,
    email,
    ...(extraContactInfo === undefined ? {} : { extraContactInfo }),
  };
  const mails = await reportMails(
    report,
    sender,
    destinations.map(({ address }) => address),
    now,
  );
  const refused = [...unverified];
  const sent: string[] = [];
  const errors: unknown[] = [];
  for (const [index, mail] of mails.entries()) {
    const { maxBytes = Infinity } = destinations[index] ?? {};
    if (mail.raw.length > maxBytes) {
      refused.push({
        uri: `mailto:${mail.to}`,
        reason: `the report is larger than ${maxBytes} octets`,
        temporary: false,
      });
      continue;
    }
    try {
      await options.send(mail);
      sent.push(mail.to);
    } catch (error) {
      errors.push(error);
    }
  }
  const young = now / 1000 < end + MAX_AGE_PERIODS * (end - begin + 1);
  const mayWork = errors.length > 0 || refused.some(({ temporary }) => temporary);
  return { domain: policy.domain, sent, refused, errors, kept: sent.length === 0 && mayWork && young };
}
