/** Aggregate reports as XML (RFC 9990 3.1.1). Whatever a value holds, it stays text. */
import type { ReportRow } from './report-entry.js';
import type { StoredReport } from './report-store.js';

/** Who makes the reports. */
export interface ReportMetadata {
  /** The name of the reporting organization. */
  readonly orgName: string;
  /** An address for questions about the reports. */
  readonly email: string;
  /** Further contact details. Default: none. */
  readonly extraContactInfo?: string;
  /** Unique among the reports to a domain. */
  readonly reportId: string;
}

const NAMESPACE = 'urn:ietf:params:xml:ns:dmarc-2.0';
const GENERATOR = 'tsmilter';

/** A report as an XML document in UTF-8. */
export function reportXml(report: StoredReport, metadata: ReportMetadata): string {
  const { policy, begin, end, rows } = report;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>\n',
    `<feedback xmlns="${NAMESPACE}">`,
    element('version', '1.0'),
    group('report_metadata', [
      element('org_name', metadata.orgName),
      element('email', metadata.email),
      optional('extra_contact_info', metadata.extraContactInfo),
      element('report_id', metadata.reportId),
      group('date_range', [element('begin', String(begin)), element('end', String(end))]),
      element('generator', GENERATOR),
    ]),
    group('policy_published', [
      element('domain', policy.domain),
      element('discovery_method', 'treewalk'),
      element('p', policy.p),
      optional('sp', policy.sp),
      optional('np', policy.np),
      element('fo', policy.fo),
      element('adkim', policy.adkim),
      element('aspf', policy.aspf),
      element('testing', policy.testing ? 'y' : 'n'),
    ]),
    ...rows.map(({ row, count }) => recordXml(row, count)),
    '</feedback>\n',
  ].join('');
}

function recordXml(row: ReportRow, count: number): string {
  const { ip, disposition, dkimAligned, spfAligned, overrides, headerFrom, envelopeFrom, dkim, spf } = row;
  return group('record', [
    group('row', [
      element('source_ip', ip),
      element('count', String(count)),
      group('policy_evaluated', [
        element('disposition', disposition),
        element('dkim', dkimAligned ? 'pass' : 'fail'),
        element('spf', spfAligned ? 'pass' : 'fail'),
        ...overrides.map(({ type, comment }) =>
          group('reason', [element('type', type), optional('comment', comment)]),
        ),
      ]),
    ]),
    group('identifiers', [element('header_from', headerFrom), element('envelope_from', envelopeFrom)]),
    group('auth_results', [
      ...dkim.map(({ domain, selector, result, reason }) =>
        group('dkim', [
          element('domain', domain),
          element('selector', selector),
          element('result', result),
          optional('human_result', reason),
        ]),
      ),
      ...(spf
        ? [
            group('spf', [
              element('domain', spf.domain),
              element('scope', 'mfrom'),
              element('result', spf.result),
            ]),
          ]
        : []),
    ]),
  ]);
}

const group = (name: string, children: readonly string[]): string =>
  `<${name}>${children.join('')}</${name}>\n`;
const element = (name: string, text: string): string => `<${name}>${escaped(text)}</${name}>`;
const optional = (name: string, text: string | undefined): string =>
  text === undefined ? '' : element(name, text);

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
};

/** Text without what XML cannot hold even as an entity: control characters, halves of characters, non-characters (XML 1.0 2.2). */
function escaped(text: string): string {
  return text
    .replace(/[^\t\n\r\x20-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '\ufffd')
    .replace(/[&<>"']/g, (character) => ENTITIES[character] as string)
    .replace(/\r/g, '&#13;');
}
