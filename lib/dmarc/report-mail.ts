/** An aggregate report as a mail (RFC 9990 3.5). */
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import MailComposer from 'nodemailer/lib/mail-composer';
import type { StoredReport } from './report-store.js';
import { type ReportMetadata, reportXml } from './report-xml.js';

/** Who sends reports. */
export interface ReportSender extends Omit<ReportMetadata, 'reportId'> {
  /** The domain of the mail receiver that the reports are from; their From must be aligned with it. */
  readonly submitter: string;
}

/** A mail that is ready to be sent. */
export interface ReportMail {
  /** The envelope's sender: the address of `email`. */
  readonly from: string;
  readonly to: string;
  /** Unique for the report; the same if it is sent again. */
  readonly reportId: string;
  /** The whole message, with CRLF. It still has to be signed, so that it passes DMARC itself. */
  readonly raw: Buffer;
}

const compress = promisify(gzip);

/** The report as mails to each of the addresses, of which all but To is the same. */
export async function reportMails(
  report: StoredReport,
  sender: ReportSender,
  addresses: readonly string[],
  now: number,
): Promise<ReportMail[]> {
  const { submitter, email, ...metadata } = sender;
  const { begin, end, policy } = report;
  const unique = createHash('sha256').update(`${submitter} ${report.id}`).digest('hex').slice(0, 32);
  const reportId = `${unique}@${submitter}`;
  const content = await compress(reportXml(report, { ...metadata, email, reportId }));
  const filename = `${submitter}!${policy.domain}!${begin}!${end}!${unique}.xml.gz`;
  return await Promise.all(
    addresses.map(async (to) => {
      const composer = new MailComposer({
        from: email,
        to,
        subject: `Report Domain: ${policy.domain} Submitter: ${submitter} Report-ID: <${reportId}>`,
        messageId: `<${createHash('sha256').update(`${unique} ${to}`).digest('hex').slice(0, 32)}@${submitter}>`,
        date: new Date(now),
        headers: { 'Auto-Submitted': 'auto-generated' },
        text: `This is a DMARC aggregate report of ${submitter} about ${policy.domain}.\n`,
        attachments: [{ filename, content, contentType: 'application/gzip' }],
        newline: '\r\n',
      });
      return { from: email, to, reportId, raw: await composer.compile().build() };
    }),
  );
}
