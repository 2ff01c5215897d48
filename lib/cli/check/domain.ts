/** Checks the DNS records by which a domain's mail is authenticated. */
import { domainNameOf } from '../../dkim/domain.js';
import { type CheckedKeyRecord, checkKey, readKeyFile } from '../../dkim/index.js';
import { parseDmarcRecord, reportDestinations } from '../../dmarc/index.js';
import { DnsSession, dnsFailureOf } from '../../dns/index.js';
import { checkSpf } from '../../spf/index.js';
import { UsageError } from '../command.js';
import type { Finding, Level } from '../finding.js';

export interface DomainChecks {
  readonly selectors: readonly string[];
  /** The private key of the only selector. */
  readonly key: string | undefined;
  readonly groupReadable: boolean;
  readonly dnsServer: string | undefined;
}

/** The code of an error that another try may mend. */
export const TEMPORARY = 'dns';

/** A reserved address (RFC 1112 4), which a record treats like any host that it does not name. */
const ANY_HOST = '240.0.0.1';

/** @throws UsageError for what is not a domain, MilterError ERR_MILTER_BAD_ARGUMENT for what is not a selector, ERR_MILTER_BAD_KEY */
export async function checkDomain(
  name: string,
  { selectors, key, groupReadable, dnsServer }: DomainChecks,
): Promise<Finding[]> {
  const resolver = new DnsSession({
    maxTime: 30_000,
    ...(dnsServer !== undefined && { servers: [dnsServer] }),
  });
  const domain = domainNameOf(name);
  if (domain === undefined) throw new UsageError(`${JSON.stringify(name)} is not a domain`);
  const findings = [await checkSpfRecord(domain, resolver), ...(await checkDmarcRecord(domain, resolver))];
  const privateKey =
    key === undefined ? {} : { key: await readKeyFile(key, { maxMode: groupReadable ? 0o640 : 0o600 }) };
  for (const selector of selectors)
    findings.push(...keyFindings(await checkKey({ domain, selector, resolver, ...privateKey })));
  if (selectors.length === 0) {
    const message = 'keys were not checked, because DNS does not list them';
    findings.push({ level: 'note', code: 'dkim', about: domain, message, cure: 'name them with --selector' });
  }
  return findings;
}

/** Evaluates the record with all that it includes, for a host that does not exist. */
async function checkSpfRecord(domain: string, resolver: DnsSession): Promise<Finding> {
  const query = { ip: ANY_HOST, helo: domain, sender: `postmaster@${domain}` };
  const { result, problem, lookups } = await checkSpf(query, { resolver });
  const finding = (level: Level, message: string, cure?: string): Finding => ({
    level,
    code: 'spf',
    about: domain,
    message: `SPF: ${message}`,
    ...(cure !== undefined && { cure }),
  });
  switch (result) {
    case 'temperror':
      return { ...finding('error', problem ?? result), code: TEMPORARY };
    case 'permerror':
      return finding(
        'error',
        problem ?? result,
        'correct the record: receivers may refuse mail because of it',
      );
    case 'none':
      return finding('warning', 'no record', `publish one: ${domain}. IN TXT "v=spf1 mx -all"`);
    case 'pass':
      return finding('warning', 'every host may send for the domain', 'end the record with -all or ~all');
    case 'neutral':
      return finding('warning', 'the record says nothing about other hosts', 'end it with -all or ~all');
    default:
      return finding('ok', `${result} for other hosts, ${lookups} of 10 lookups`);
  }
}

async function checkDmarcRecord(domain: string, resolver: DnsSession): Promise<Finding[]> {
  const about = `_dmarc.${domain}`;
  const finding = (level: Level, message: string, cure?: string): Finding => ({
    level,
    code: 'dmarc',
    about,
    message: `DMARC: ${message}`,
    ...(cure !== undefined && { cure }),
  });
  const texts = await textsOf(about, resolver);
  if (texts instanceof Error) return [{ ...finding('error', texts.message), code: TEMPORARY }];
  const records = texts.flatMap((text) => parseDmarcRecord(text) ?? []);
  const [record] = records;
  if (!record) {
    const cure = `publish one unless a domain above has one: ${about}. IN TXT "v=DMARC1; p=none; rua=mailto:..."`;
    return [finding('warning', 'no record', cure)];
  }
  if (records.length > 1)
    return [finding('error', 'several records: none of them counts', 'remove all but one')];
  if (!record.usable)
    return [
      finding('error', 'no valid policy: the record does not count', 'add p=none, quarantine or reject'),
    ];
  const policy =
    record.p === 'none'
      ? finding('note', 'p=none: mail that fails is delivered')
      : finding('ok', `p=${record.p}${record.testing ? ', t=y: being tried out' : ''}`);
  const { refused } = await reportDestinations(domain, record.rua, resolver);
  return [
    policy,
    ...refused.map(({ uri, reason, temporary }) => ({
      ...finding(temporary ? 'error' : 'warning', `no reports go to ${uri}: ${reason}`),
      ...(temporary && { code: TEMPORARY }),
    })),
  ];
}

/** The TXT records of a name, each in one piece; the error if DNS cannot tell. */
async function textsOf(name: string, resolver: DnsSession): Promise<string[] | Error> {
  try {
    return (await resolver.resolveTxt(name)).map((strings) => strings.join(''));
  } catch (error) {
    const failure = dnsFailureOf(error);
    if (failure === undefined) throw error;
    return failure === 'nonexistent' || failure === 'nodata' ? [] : (error as Error);
  }
}

function keyFindings({ result, name, reason, type, bits, warnings }: CheckedKeyRecord): Finding[] {
  const about = name;
  const more = warnings.map((message) => ({
    level: 'warning' as const,
    code: 'dkim',
    about,
    message: `DKIM: ${message}`,
  }));
  if (result === 'ok')
    return [{ level: 'ok', code: 'dkim', about, message: `DKIM: ${type}, ${bits} bits` }, ...more];
  const code = result === 'temperror' ? TEMPORARY : 'dkim';
  return [{ level: 'error', code, about, message: `DKIM: ${reason ?? result}` }, ...more];
}
