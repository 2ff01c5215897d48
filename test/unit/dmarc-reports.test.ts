/** Aggregate reports: RFC 9990, and RFC 7489 7.1 and 7.2. */
import { spawnSync } from 'node:child_process';
import * as path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import {
  checkDmarc,
  type DmarcResult,
  type ReportEntry,
  type ReportMail,
  reportDestinations,
  reportEntry,
  reportXml,
  type SendReportsOptions,
  SqliteReportStore,
  type StoredReport,
  sendReports,
} from 'tsmilter/dmarc';
import { privateDirectory, removeDirectory } from '../../tools/private-directory.js';
import { projectRoot } from '../../tools/project-root.js';
import { dnsError, type Zone, zoneResolver } from '../support/dkim.js';
import { parseMessage } from '../support/parsed-mail.js';
import { BEGIN, DAY, entry, NOW, RECORD, some, TOMORROW, testReportStore } from '../support/report-stores.js';

let directory: string;
let files = 0;
let store: SqliteReportStore;
beforeAll(() => {
  directory = privateDirectory('dmarc-reports');
});
afterAll(() => removeDirectory(directory));

const open = (options = {}) => new SqliteReportStore(path.join(directory, `${++files}.db`), options);
beforeEach(() => {
  store = open();
});
afterEach(() => store.close());

/** Validates with libxml2. @returns what it objects to */
function objections(xml: string): string {
  const schema = path.join(projectRoot, 'test/fixtures/dmarc-report.xsd');
  const { status, stderr, error } = spawnSync('xmllint', ['--noout', '--schema', schema, '-'], {
    input: xml,
    encoding: 'utf8',
    env: { ...process.env, LD_PRELOAD: '' },
  });
  if (error) throw error;
  return status === 0 ? '' : stderr;
}

const sender = { submitter: 'mx.example.org', orgName: 'Example & Sons', email: 'dmarc@example.org' };

async function send(options: Partial<SendReportsOptions> = {}, zone: Zone = {}) {
  const mails: ReportMail[] = [];
  const results = await sendReports({
    ...sender,
    store,
    resolver: zoneResolver(zone),
    send: async (mail) => mails.push(mail),
    now: () => TOMORROW,
    ...options,
  });
  return { mails, results };
}

describe('an entry', () => {
  it('has what a report says of a message', async () => {
    const dkim = [
      { result: 'fail', domain: 'example.net', selector: 's', reason: 'the body is not what was signed' },
      { result: 'pass', domain: 'example.com', selector: 'k' },
    ] as const;
    expect(await entry(RECORD, { dkim, spf: { result: 'fail', domain: 'bounce.example.net' } })).toEqual({
      policy: {
        domain: 'example.com',
        p: 'reject',
        sp: 'quarantine',
        fo: '0',
        adkim: 'r',
        aspf: 'r',
        testing: false,
        rua: [{ uri: 'mailto:r@example.com' }],
      },
      row: {
        ip: '192.0.2.1',
        disposition: 'pass',
        dkimAligned: true,
        spfAligned: false,
        overrides: [],
        headerFrom: 'example.com',
        envelopeFrom: 'bounce.example.net',
        dkim: [
          { domain: 'example.com', selector: 'k', result: 'pass' },
          { domain: 'example.net', selector: 's', result: 'fail', reason: 'the body is not what was signed' },
        ],
        spf: { domain: 'bounce.example.net', result: 'fail' },
      },
    });
  });

  it('is there only for messages of domains that ask for reports, and that were evaluated', async () => {
    expect(await entry('v=DMARC1; p=reject')).toBeUndefined();
    expect(await entry(RECORD, { from: 'a@example.net' })).toBeUndefined();
    expect(await entry(RECORD, { from: '' })).toBeUndefined();
    expect(await entry(RECORD, {}, { ip: 'unknown' })).toBeUndefined();
    expect(await entry(RECORD, { spf: { result: 'temperror', domain: 'example.com' } })).toBeUndefined();
    expect(await entry()).toMatchObject({ row: { disposition: 'reject' } });
  });

  it.each([
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['fe80::1%eth0', 'fe80::1'],
  ])('has the client %s as %s', async (ip, expected) => {
    expect((await some(RECORD, {}, { ip })).row.ip).toBe(expected);
  });

  it('names at most 20 signatures, those that pass first', async () => {
    const failing = Array.from(
      { length: 50 },
      (_, i) => ({ result: 'fail', domain: `d${i}.example`, selector: 's' }) as const,
    );
    const dkim = [...failing, { result: 'pass', domain: 'other.example', selector: 's' } as const];
    const { row } = await some(RECORD, { dkim });
    expect(row.dkim.length).toBe(20);
    expect(row.dkim[0]).toMatchObject({ domain: 'other.example' });
  });

  it.each([
    ['asks for strict alignment, so that no organization was looked up', `${RECORD}; adkim=s`],
    ['allows relaxed alignment', RECORD],
  ])('prefers the author, then its organization, where the record %s', async (_, record) => {
    const signed = (result: 'pass' | 'fail', domain: string) => ({ result, domain, selector: 's' });
    const dkim = [
      signed('fail', 'example.com'),
      signed('pass', 'notexample.com'),
      signed('pass', 'mail.example.com'),
      signed('pass', 'example.com'),
    ];
    const { row } = await some(record, { dkim });
    expect(row.dkim.map(({ result, domain }) => `${result} ${domain}`)).toEqual([
      'pass example.com',
      'pass mail.example.com',
      'pass notexample.com',
      'fail example.com',
    ]);
  });

  it('does not take a public suffix for the organization', async () => {
    const resolver = zoneResolver({
      '_dmarc.bank': [['v=DMARC1; p=reject; psd=y; rua=mailto:r@example.com']],
    });
    const dkim = ['other.bank', 'mail.own.bank'].map(
      (domain) => ({ result: 'pass', domain, selector: 's' }) as const,
    );
    const result = await checkDmarc({ from: 'a@own.bank', dkim }, { resolver });
    expect(result.policyDomain).toBe('bank');
    const found = reportEntry(result, { ip: '192.0.2.1', envelopeFrom: '', dkim });
    expect(found?.row.dkim.map(({ domain }) => domain)).toEqual(['mail.own.bank', 'other.bank']);
  });
});

describe('the store in SQLite', () => {
  testReportStore(open);

  it('is shared by processes, and keeps its rows', async () => {
    const file = path.join(directory, 'shared.db');
    const [one, other] = [new SqliteReportStore(file), new SqliteReportStore(file)];
    await Promise.all([one.add(await some(), NOW), other.add(await some(), NOW)]);
    await one.close();
    await other.close();
    const again = new SqliteReportStore(file);
    expect((await again.next(TOMORROW))?.rows).toMatchObject([{ count: 2 }]);
    await again.close();
  });

  it('says what is wrong with it', async () => {
    const failing = expect.objectContaining({ code: 'ERR_MILTER_STORE' });
    expect(() => new SqliteReportStore(path.join(directory, 'none/x.db'))).toThrow(failing);
    expect(() => new SqliteReportStore(':memory:', { period: 0 })).toThrow(/period/);
    expect(() => new SqliteReportStore(':memory:', { rows: 1 } as never)).toThrow(/no option rows/);
    const closed = open();
    await closed.close();
    await expect(closed.add(await some(), NOW)).rejects.toEqual(failing);
  });
});

describe('the XML', () => {
  const report = async (...entries: ReportEntry[]): Promise<StoredReport> => {
    for (const one of entries) await store.add(one, NOW);
    return (await store.next(TOMORROW)) as StoredReport;
  };

  it('is valid by the schema of RFC 9990', async () => {
    const dkim = [{ result: 'fail', domain: 'example.com', selector: 's', reason: 'x' }] as const;
    const spf = { result: 'softfail', domain: 'example.net' } as const;
    const overrides = {
      overrides: [
        { type: 'local_policy', comment: 'dry run' } as const,
        { type: 'policy_test_mode' } as const,
      ],
    };
    const one = await some(`${RECORD}; np=none; t=y`, { dkim, spf }, { ip: '2001:db8::1', envelopeFrom: '' });
    const entries = [one, { ...one, row: { ...one.row, ...overrides } }];
    const xml = reportXml(await report(...entries), { ...sender, extraContactInfo: 'call', reportId: 'x@y' });
    expect(objections(xml)).toBe('');
    expect(xml).toContain('<org_name>Example &amp; Sons</org_name>');
    expect(xml).toContain(`<date_range><begin>${BEGIN}</begin><end>${BEGIN + DAY - 1}</end></date_range>`);
    expect(xml).toContain('<testing>y</testing>');
    // The schema finds faults, so that the above proves something.
    expect(objections(xml.replace('<p>reject</p>', '<p>maybe</p>'))).toMatch(/maybe/);
    expect(objections(xml.replace('<testing>y</testing>', '<pct>5</pct>'))).toMatch(/pct/);
  });

  it.each([
    '</comment><disposition>none</disposition>',
    ']]>',
    '&lt;&#0;',
    '<!DOCTYPE x [<!ENTITY y SYSTEM "file:///etc/passwd">]>&y;',
    '\0\x01\x08\x0b\x1f\x7f\x85',
    '\ud800 \udfff \uffff \ufffe',
    '😀 é \r\n \u2028',
    '"\'',
  ])('stays well-formed whatever a text holds: %j', async (comment) => {
    const one = await some();
    const hostile = { ...one, row: { ...one.row, overrides: [{ type: 'other', comment } as const] } };
    const xml = reportXml(await report(hostile), { ...sender, orgName: comment, reportId: comment });
    expect(objections(xml)).toBe('');
    expect(xml.match(/<disposition>/g)?.length).toBe(1);
  });
});

describe('destinations (RFC 9990 4, RFC 7489 7.1)', () => {
  const to = (rua: string, zone: Zone = {}) => {
    const uris = rua.split(',').map((uri) => ({ uri }));
    return reportDestinations('example.com', uris, zoneResolver(zone));
  };
  const external = 'example.com._report._dmarc.red.example.net';
  const refused = (reason: RegExp, temporary = false) => ({
    destinations: [],
    refused: [{ uri: expect.any(String), reason: expect.stringMatching(reason), temporary }],
  });

  it('within the organization need no consent', async () => {
    expect(await to('mailto:a@example.com')).toEqual({
      destinations: [{ address: 'a@example.com' }],
      refused: [],
    });
    const zone: Zone = { '_dmarc.example.com': [[RECORD]] };
    expect(await to('MAILTO:a@Sub.Example.com', zone)).toMatchObject({
      destinations: [{ address: 'a@sub.example.com' }],
    });
  });

  it('elsewhere need the consent of the host', async () => {
    expect(await to('mailto:a@red.example.net')).toEqual(refused(/does not publish/));
    for (const record of ['v=DMARC1', 'v=DMARC1;', 'v=DMARC1; x=y']) {
      expect(await to('mailto:a@red.example.net', { [external]: [[record]] })).toMatchObject({
        destinations: [{ address: 'a@red.example.net' }],
        refused: [],
      });
    }
    for (const record of ['', 'v=spf1 -all', 'x=y; v=DMARC1', 'v=DMARC2']) {
      expect(await to('mailto:a@red.example.net', { [external]: [[record]] })).toEqual(
        refused(/does not publish/),
      );
    }
  });

  it('may be replaced by the host, within the host', async () => {
    const replaced = (record: string) => to('mailto:a@red.example.net', { [external]: [[record]] });
    expect(await replaced('v=DMARC1; rua=mailto:b@red.example.net!2k')).toMatchObject({
      destinations: [{ address: 'b@red.example.net', maxBytes: 2048 }],
    });
    expect(await replaced('v=DMARC1; rua=mailto:b@victim.example')).toEqual(refused(/another host/));
  });

  it('are tried again if DNS does not answer', async () => {
    expect(await to('mailto:a@red.example.net', { [external]: dnsError('ETIMEOUT') })).toEqual(
      refused(/ETIMEOUT/, true),
    );
  });

  it.each([
    'https://example.com/report',
    'mailto:',
    'mailto:nobody',
    'mailto:a%0d%0aBcc:b@example.com',
    'mailto:a%20b@example.com',
    'mailto:a@example.com%0d%0aX:y',
    'mailto:a%ZZ@example.com',
    'mailto:a@b@example.com',
    'mailto:"a"@example.com',
    `mailto:${'a'.repeat(300)}@example.com`,
  ])('are refused if they are not one mail address: %s', async (uri) => {
    expect(await to(uri)).toEqual(refused(/./));
  });

  it('lose the header fields of their URI', async () => {
    expect(await to('mailto:a@example.com?subject=x&bcc=b@victim.example')).toMatchObject({
      destinations: [{ address: 'a@example.com' }],
    });
  });

  it('are at most five, each once', async () => {
    const many = Array.from({ length: 9 }, (_, i) => `mailto:a${i % 3}@example.com`).join(',');
    const { destinations, refused: others } = await to(many);
    expect([destinations.length, others.length]).toEqual([3, 4]);
  });
});

describe('sendReports', () => {
  it('makes mails that the MTA can send as they are (RFC 9990 3.5)', async () => {
    await store.add(await some(), NOW);
    const { mails, results } = await send();
    expect(results).toEqual([
      { domain: 'example.com', sent: ['r@example.com'], refused: [], errors: [], kept: false },
    ]);
    const [mail] = mails as [ReportMail];
    expect(mail).toMatchObject({ from: 'dmarc@example.org', to: 'r@example.com' });
    const { headers, attachment, filename, text } = parseMessage(mail.raw);
    expect(mail.raw.toString('latin1')).not.toMatch(/[^\r]\n/);
    expect(headers.get('from')).toBe('dmarc@example.org');
    expect(headers.get('to')).toBe('r@example.com');
    expect(headers.get('auto-submitted')).toBe('auto-generated');
    expect(headers.get('subject')).toMatch(
      /^Report Domain: example\.com Submitter: mx\.example\.org Report-ID: <[0-9a-f]{32}@mx\.example\.org>$/,
    );
    expect(filename).toMatch(
      new RegExp(`^mx\\.example\\.org!example\\.com!${BEGIN}!${BEGIN + DAY - 1}![0-9a-f]{32}\\.xml\\.gz$`),
    );
    expect(headers.get('subject')).toContain(`<${mail.reportId}>`);
    const xml = gunzipSync(attachment).toString();
    expect(objections(xml)).toBe('');
    expect(xml).toContain(`<report_id>${mail.reportId}</report_id>`);
    expect(text).toContain('example.com');
    expect(await store.next(TOMORROW)).toBeUndefined();
  });

  it('keeps a report that could not be sent, and sends it again under the same name', async () => {
    await store.add(await some(), NOW);
    const failing: ReportMail[] = [];
    const { results } = await send({
      send: async (mail) => {
        failing.push(mail);
        throw new Error('the MTA is down');
      },
    });
    expect(results).toMatchObject([{ sent: [], errors: [{ message: 'the MTA is down' }], kept: true }]);
    const { mails } = await send();
    expect(mails.map(({ reportId }) => reportId)).toEqual(failing.map(({ reportId }) => reportId));
  });

  it('drops one that cannot be sent for seven periods', async () => {
    await store.add(await some(), NOW);
    const { results } = await send({
      send: async () => Promise.reject(new Error('down')),
      now: () => NOW + 9 * DAY * 1000,
    });
    expect(results).toMatchObject([{ kept: false }]);
  });

  it('drops one that nobody may be sent, and keeps one that DNS cannot tell yet', async () => {
    const elsewhere = RECORD.replace('r@example.com', 'r@red.example.net');
    await store.add(await some(elsewhere), NOW);
    const zone = { 'example.com._report._dmarc.red.example.net': dnsError('ESERVFAIL') };
    expect((await send({}, zone)).results).toMatchObject([{ kept: true }]);
    expect((await send()).results).toMatchObject([
      { sent: [], kept: false, refused: [{ uri: 'mailto:r@red.example.net' }] },
    ]);
    expect(await store.next(TOMORROW)).toBeUndefined();
  });

  it('heeds size limits (RFC 7489 6.2)', async () => {
    await store.add(await some(`${RECORD}!1k,mailto:s@example.com!1m`), NOW);
    const { results } = await send();
    expect(results).toMatchObject([
      {
        sent: ['s@example.com'],
        refused: [{ uri: 'mailto:r@example.com', reason: expect.stringMatching(/larger than 1024/) }],
      },
    ]);
  });

  it('refuses options that would break the mail', async () => {
    const refused = expect.objectContaining({ code: 'ERR_MILTER_BAD_ARGUMENT' });
    await expect(send({ submitter: 'not a domain' })).rejects.toEqual(refused);
    await expect(send({ email: 'a@example.org\r\nBcc: b@example.org' })).rejects.toEqual(refused);
    await expect(send({ sender: 'x' } as never)).rejects.toEqual(refused);
  });
});

it('a result keeps what a report needs', async () => {
  const result: DmarcResult = await checkDmarc(
    { from: 'a@example.com' },
    { resolver: zoneResolver({ '_dmarc.example.com': [[RECORD]] }) },
  );
  expect(result.record?.rua).toEqual([{ uri: 'mailto:r@example.com' }]);
});
