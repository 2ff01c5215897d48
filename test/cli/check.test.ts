/** `tsmilter check`: files by the readers of filters, and a domain by the DNS server of the tests. */
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { formatKeyRecord, generateKey } from 'tsmilter/dkim';
import { DnsServer, type Zone } from '../../tools/dns-server.js';
import { privateDirectory, removeDirectory } from '../../tools/private-directory.js';
import { projectRoot } from '../../tools/project-root.js';
import { tsmilter } from '../support/cli.js';
import { unwatched } from '../support/unwatched.js';

let directory: string;
const inDirectory = (name: string) => join(directory, name);
function write(name: string, text: string, mode = 0o600): string {
  writeFileSync(inDirectory(name), text, { mode });
  return inDirectory(name);
}
beforeAll(() => {
  directory = privateDirectory('cli-check');
});
afterAll(() => removeDirectory(directory));

interface Shown {
  readonly ok: boolean;
  readonly findings: { level: string; code: string; about: string; message: string; cure?: string }[];
}

/** The exit code, and each finding as `level message`. */
async function check(...args: string[]): Promise<[status: number | null, ...findings: string[]]> {
  const { status, stdout, stderr } = await tsmilter(['check', ...args, '--json']);
  expect(stderr).toBe('');
  const { ok, findings } = JSON.parse(stdout) as Shown;
  expect(ok).toBe(!findings.some(({ level }) => level === 'error'));
  return [status, ...findings.map(({ level, message }) => `${level} ${message}`)];
}

describe('a file', () => {
  it('access map: entries, or the line of a mistake', async () => {
    const good = write('access', 'SPF-Fail:example.com REJECT\nSPF-Fail: CONTINUE\n');
    expect(await check('access', good)).toStrictEqual([0, 'ok 2 entries']);
    const bad = write('access.bad', '# a comment\nSPF-Fail:example.com\n');
    expect(await check('access', good, bad)).toStrictEqual([
      1,
      'ok 2 entries',
      expect.stringMatching(/^error .*line 2/),
    ]);
  });

  it('list of names, and of networks', async () => {
    expect(await check('list', write('list', 'ann@example.com\n.example.org:!pass\n'))).toStrictEqual([
      0,
      'ok 2 entries',
    ]);
    expect(await check('list', write('list.bad', '\nann@example.com:pss\n'))).toStrictEqual([
      1,
      expect.stringMatching(/^error .*line 2: "ann@example\.com:pss"/),
    ]);
    expect(await check('networks', write('networks', '192.0.2.0/24 # ours\n2001:db8::/32\n'))).toStrictEqual([
      0,
      'ok 2 entries',
    ]);
    expect(await check('networks', write('networks.bad', '192.0.2.0/33\n'))).toStrictEqual([
      1,
      expect.stringMatching(/^error .*line 1: "192\.0\.2\.0\/33"/),
    ]);
    expect(await check('list', write('empty', '# nothing\n'))).toStrictEqual([0, 'warning has no entries']);
  });

  it('key: kind, size, mode', async () => {
    const rsa = write('rsa.pem', await generateKey({ type: 'rsa' }));
    const ed25519 = write('ed25519.pem', await generateKey({ type: 'ed25519' }));
    expect(await check('key', rsa, ed25519)).toStrictEqual([
      0,
      'ok an RSA key of 2048 bits',
      'ok an Ed25519 key',
    ]);
    const short = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey;
    const pem = short.export({ type: 'pkcs8', format: 'pem' }).toString();
    expect(await check('key', write('short.pem', pem))).toStrictEqual([0, 'warning an RSA key of 1024 bits']);
    expect(await check('key', write('text.pem', 'no key'))).toStrictEqual([
      1,
      expect.stringMatching(/^error /),
    ]);
    chmodSync(ed25519, 0o640);
    expect(await check('key', ed25519)).toStrictEqual([1, expect.stringMatching(/mode is 0640.*chmod 0600/)]);
    expect(await check('key', ed25519, '--group-readable')).toStrictEqual([0, 'ok an Ed25519 key']);
  });

  it('configuration: syntax, settings of tsmilter run, and what the filter says of it', async () => {
    expect(
      await check('config', write('good.cfg', '[milter]\nsocket = unix:/x\n[other]\na = 1\n')),
    ).toStrictEqual([0, 'ok sections [milter], [other]']);
    expect(
      await check('config', write('syntax.cfg', '[milter]\nsocket = unix:/x\nnonsense\n')),
    ).toStrictEqual([1, expect.stringMatching(/^error .*syntax\.cfg:3: the line is neither/)]);
    expect(
      await check('config', write('slip.cfg', '[milter]\nsocket = unix:/x\nworkrs = 1\n')),
    ).toStrictEqual([
      1,
      expect.stringMatching(/^error .*slip\.cfg:3: workrs is not a setting; did you mean workers\?/),
    ]);
    const example = join(projectRoot, 'examples/spfmilter/spfmilter.cfg');
    const reader = write(
      'reader.cjs',
      `const { MilterConfigParser } = require(${JSON.stringify(join(projectRoot, 'dist/config/index.js'))});
       exports.checkConfig = async (file) => {
         const parser = new MilterConfigParser();
         parser.read(file);
         parser.getint('limits', 'size');
       };`,
    );
    expect((await check('config', example))[0]).toBe(0);
    expect(
      await check('config', write('wrong.cfg', '[limits]\nsize = big\n'), '--reader', reader),
    ).toStrictEqual([
      1,
      expect.stringMatching(/^error .*wrong\.cfg:2: \[limits\] size: "big" is not a whole number/),
    ]);
    expect((await check('config', write('right.cfg', '[limits]\nsize = 7\n'), '--reader', reader))[0]).toBe(
      0,
    );
  });

  it.each([
    ['throw null;', /^$/, /^tsmilter check: .*odd-reader\.mjs cannot be loaded: null\n$/],
    ['await new Promise(() => {});', /^$/, /^tsmilter: ended without a result: /],
    ['export const checkConfig = () => process.exit(0);', /^$/, /^tsmilter: ended without a result: /],
    ['export const checkConfig = () => { throw "no such rule"; };', /^error.*no such rule\n/, /^$/],
    ['export const checkConfig = () => { throw Object.create(null); };', /^error.*Object: null proto/, /^$/],
  ])('a reader that does not do its part fails the check: %s', async (code, stdout, stderr) => {
    const file = write('any.cfg', '[limits]\nsize = 7\n');
    const result = await tsmilter(['check', 'config', file, '--reader', write('odd-reader.mjs', code)]);
    expect(result).toStrictEqual({
      status: 1,
      stdout: expect.stringMatching(stdout),
      stderr: expect.stringMatching(stderr),
    });
  });

  it.each<[example: string, reader: string, good: string, bad: string, finding: RegExp]>([
    [
      'spfmilter',
      'config',
      'socketname = s',
      'socketnam = s',
      /spfmilter-bad\.cfg:2: \[milter\] socketnam is unknown; did you mean socketname\?/,
    ],
    [
      'authmilter',
      'config',
      'socketname = s',
      'socketnam = s',
      /authmilter-bad\.cfg:2: \[milter\] socketnam is unknown; did you mean socketname\?/,
    ],
    [
      'guard',
      'check-config',
      'socketname = s\n[spoofed_sender]\nmode = reject',
      'socketname = s\n[spoofed_sender]\nmode = rejekt',
      /guard-bad\.cfg:4: \[spoofed_sender\] mode: rejekt is not one of/,
    ],
  ])('the configuration of %s: by its reader', async (example, module, good, bad, finding) => {
    const reader = join(projectRoot, `.build/examples/${example}/${module}.js`);
    const run = (name: string, text: string) =>
      check('config', write(`${example}-${name}.cfg`, `[milter]\n${text}\n`), '--reader', reader);
    expect(await run('good', good)).toStrictEqual([0, expect.stringMatching(/^ok sections \[milter\]/)]);
    expect(await run('bad', bad)).toStrictEqual([1, expect.stringMatching(finding)]);
  });

  it.each(['config', 'access', 'list', 'networks', 'key'])('%s: that is missing, or none', async (kind) => {
    const pipe = inDirectory(`${kind}.pipe`);
    execFileSync('mkfifo', [pipe], { env: unwatched });
    expect(await check(kind, inDirectory('absent'), pipe, directory)).toStrictEqual([
      1,
      'error there is no such file or directory',
      'error is not a regular file',
      'error is not a regular file',
    ]);
  });
});

describe('a domain', () => {
  let server: DnsServer;
  let key: string;
  beforeAll(async () => {
    const pem = await generateKey({ type: 'ed25519' });
    key = write('s1.pem', pem);
    server = await DnsServer.start({ 's1._domainkey.example.com': { TXT: [formatKeyRecord(pem)] } });
  });
  afterAll(() => server.close());

  async function domain(zone: Zone, ...args: string[]) {
    const own = server.zone;
    server.zone = { ...own, ...zone };
    try {
      return await check('domain', 'example.com', '--dns-server', server.address, ...args);
    } finally {
      server.zone = own;
    }
  }
  const GOOD: Zone = {
    'example.com': { TXT: ['v=spf1 a -all'], A: ['192.0.2.1'] },
    '_dmarc.example.com': { TXT: ['v=DMARC1; p=reject'] },
  };

  it('whose records are right', async () => {
    expect(await domain(GOOD, '--selector', 's1', '--key', key)).toStrictEqual([
      0,
      'ok SPF: fail for other hosts, 1 of 10 lookups',
      'ok DMARC: p=reject',
      'ok DKIM: ed25519, 256 bits',
    ]);
  });

  it('without records, and without a selector', async () => {
    expect(await domain({})).toStrictEqual([
      0,
      'warning SPF: no record',
      'warning DMARC: no record',
      expect.stringMatching(/^note keys were not checked/),
    ]);
  });

  it.each([
    ['v=spf1 +all', 'warning SPF: every host may send for the domain', 0],
    ['v=spf1 a', 'warning SPF: the record says nothing about other hosts', 0],
    ['v=spf1 a -al', expect.stringMatching(/^error SPF: .*-al/), 1],
    ['v=spf1 include:absent.example -all', expect.stringMatching(/^error SPF: .*absent\.example/), 1],
  ])('SPF: %s', async (record, finding, status) => {
    const [code, spf] = await domain({ ...GOOD, 'example.com': { TXT: [record], A: ['192.0.2.1'] } });
    expect([code, spf]).toStrictEqual([status, finding]);
  });

  it.each([
    [['v=DMARC1; p=none'], 'note DMARC: p=none: mail that fails is delivered', 0],
    [['v=DMARC1; p=often'], expect.stringMatching(/^error DMARC: no valid policy/), 1],
    [['v=DMARC1; p=none', 'v=DMARC1; p=reject'], expect.stringMatching(/^error DMARC: several records/), 1],
  ])('DMARC: %j', async (TXT, finding, status) => {
    const [code, , dmarc] = await domain({ ...GOOD, '_dmarc.example.com': { TXT } });
    expect([code, dmarc]).toStrictEqual([status, finding]);
  });

  it('DMARC: reports to a host that has not agreed', async () => {
    const TXT = ['v=DMARC1; p=reject; rua=mailto:a@other.example'];
    const [status, , , reports] = await domain({ ...GOOD, '_dmarc.example.com': { TXT } });
    expect([status, reports]).toStrictEqual([
      0,
      expect.stringMatching(/^warning DMARC: no reports go to mailto:a@other\.example: /),
    ]);
  });

  it('DKIM: a record that is missing, or of another key', async () => {
    const other = write('other.pem', await generateKey({ type: 'ed25519' }));
    const different = await domain(GOOD, '--selector', 's1', '--key', other);
    expect([different[0], different.at(-1)]).toStrictEqual([
      1,
      'error DKIM: the record is not that of this private key',
    ]);
    const missing = await domain(GOOD, '--selector', 's1', '--selector', 's2');
    expect([missing[0], missing.at(-1)]).toStrictEqual([1, expect.stringMatching(/^error DKIM: /)]);
  });

  it('about which DNS cannot tell', async () => {
    const failing = { fault: 'SERVFAIL' } as const;
    const [status, ...findings] = await domain({ 'example.com': failing, '_dmarc.example.com': failing });
    expect(status).toBe(75);
    expect(findings.slice(0, 2)).toStrictEqual([
      expect.stringMatching(/^error SPF: /),
      expect.stringMatching(/^error DMARC: /),
    ]);
  });

  it.each([
    [['bad name'], 2, /"bad name" is not a domain/],
    [['example.com', '--key', 'x'], 2, /--key needs one --selector/],
    [
      ['example.com', '--dns-server', 'nowhere'],
      2,
      /'--dns-server <address>' argument 'nowhere'.*Write an IP address/,
    ],
  ])('arguments that are wrong: %j', async (args, status, message) => {
    const result = await tsmilter(['check', 'domain', ...args]);
    expect([result.status, result.stderr]).toStrictEqual([status, expect.stringMatching(message)]);
    expect(result.stderr.trimEnd()).not.toContain('\n');
  });
});

it('a reader that does not exist is a wrong argument', async () => {
  const args = ['check', 'config', write('any.cfg', '[a]\n'), '--reader', inDirectory('absent.js')];
  const { status, stderr } = await tsmilter(args);
  expect([status, stderr]).toStrictEqual([2, expect.stringMatching(/absent\.js: there is no such file/)]);
});

it('prints findings with their cures, and a count', async () => {
  const wrong = await tsmilter(['check', 'config', write('wrong.cfg', '[a]\nb\n')]);
  expect(wrong.stdout).toMatch(/^error {4}\S+wrong\.cfg:2: the line is neither/); // which names the file once
  const { status, stdout } = await tsmilter(['check', 'list', write('none', '')]);
  expect([status, stdout]).toStrictEqual([
    0,
    `warning  ${inDirectory('none')}: has no entries\n0 error, 1 warning, 0 note, 0 ok\n`,
  ]);
});
