/**
 * Measures how fast DKIM signatures are made and verified, by tsmilter/dkim, libopendkim, dkimpy and mailauth in one run.
 *
 *     node .build/bench/dkim.js [--rounds 5] [--quick]
 *
 * Messages of 5 kB, 100 kB and 50 MB, relaxed/relaxed, RSA-2048. Each round starts a fresh process for each contender, in
 * turns, which runs for some seconds of CPU, after a warm-up of half that time; the medians of the rounds are printed. CPU is what
 * is compared, which depends less than time on what else the machine does. Everybody reads the message from its file in each
 * pass. A contender that is not installed is left out: `scripts/install-tools bench` installs
 * libopendkim and dkimpy; mailauth is fetched from npm into .build/bench-dkim.
 */
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { DkimSigner, formatKeyRecord } from 'tsmilter/dkim';
import { projectRoot } from '../tools/project-root';
import { median } from './statistics';
import { wholeNumber } from './whole-number';

const MAILAUTH = 'mailauth@4.13.3'; // the newest for Node 20
const FOLDER = join(projectRoot, '.build/bench-dkim');
const SOURCES = join(projectRoot, 'bench/dkim');

interface Trial {
  readonly ms: number;
  readonly cpuMs: number;
  readonly peakKiB: number;
}

interface Contender {
  readonly name: string;
  readonly command: readonly string[];
}

interface Size {
  readonly title: string;
  readonly bytes: number;
}

const SIZES: readonly Size[] = [
  { title: '5 kB', bytes: 5_000 },
  { title: '100 kB', bytes: 100_000 },
  { title: '50 MB', bytes: 50_000_000 },
];
const SECONDS = 2;
const QUICK_SECONDS = 0.2;
const MODES = ['verify', 'sign'] as const;

const HEADER = [
  'Received: from mail.example.com (mail.example.com [192.0.2.1])\r\n\tby mx.example.net (Postfix) with ESMTPS id 4F2B5A0;\r\n\tSat, 28 Nov 2026 12:00:00 +0000',
  'From: Ann Author <ann@example.com>',
  'To: Bob Reader <bob@example.net>',
  'Subject: The report of November, with all its figures',
  'Date: Sat, 28 Nov 2026 12:00:00 +0000',
  'Message-ID: <1234567890@example.com>',
  'MIME-Version: 1.0',
  'Content-Type: text/plain; charset=utf-8',
  'Content-Transfer-Encoding: 8bit',
];
const LINES = [
  'Some words of a letter, which is neither long nor interesting, but has lines.\r\n',
  'Two  spaces stand here, and a space at the end \r\n',
  '\r\n',
];

function messageOf(bytes: number): Buffer {
  const text = LINES.join('');
  return Buffer.from(
    text
      .repeat(Math.ceil(bytes / text.length))
      .slice(0, bytes - 2)
      .concat('\r\n'),
    'latin1',
  );
}

/** Writes a message that is signed, and the one without its signature. */
async function writeMessages(size: Size, key: string): Promise<void> {
  const body = messageOf(size.bytes);
  const signer = new DkimSigner({ keys: [{ domain: 'example.com', selector: 's', key }] });
  for (const field of HEADER) {
    const colon = field.indexOf(':');
    signer.header(field.slice(0, colon), field.slice(colon + 2));
  }
  signer.eoh();
  signer.body(body);
  const signature = (await signer.eom()).map(([name, value]) => `${name}: ${value.replaceAll('\n', '\r\n')}`);
  for (const [mode, fields] of [
    ['sign', HEADER],
    ['verify', [...signature, ...HEADER]],
  ] as const) {
    writeFileSync(pathOf(mode, size), Buffer.concat([Buffer.from(`${fields.join('\r\n')}\r\n\r\n`), body]));
  }
}

const pathOf = (mode: string, { bytes }: Size) => join(FOLDER, `${mode}-${bytes}.eml`);

/** Those that can run here. */
function contenders(): Contender[] {
  const project = { name: 'tsmilter', command: [process.execPath, join(__dirname, 'dkim/project.js')] };
  return [project, ...[libopendkim, dkimpy, mailauth].flatMap((make) => make() ?? [])];
}

function libopendkim(): Contender | undefined {
  const program = join(FOLDER, 'opendkim');
  const source = join(SOURCES, 'opendkim.c');
  return attempt('libopendkim', () => {
    execFileSync('cc', ['-O2', '-o', program, source, '-lopendkim'], { stdio: 'pipe' });
    return { name: 'libopendkim', command: [program] };
  });
}

function dkimpy(): Contender | undefined {
  return attempt('dkimpy', () => {
    execFileSync('/usr/bin/python3', ['-c', 'import dkim'], { stdio: 'pipe' });
    return { name: 'dkimpy', command: ['/usr/bin/python3', join(SOURCES, 'dkimpy.py')] };
  });
}

function mailauth(): Contender | undefined {
  return attempt('mailauth', () => {
    if (!existsSync(join(FOLDER, 'node_modules/mailauth'))) {
      const options = ['--no-save', '--no-audit', '--no-fund', '--ignore-scripts', '--prefix', FOLDER];
      execFileSync('npm', ['install', ...options, MAILAUTH], { stdio: 'pipe' });
    }
    return { name: 'mailauth', command: [process.execPath, join(__dirname, 'dkim/mailauth.js')] };
  });
}

function attempt(name: string, make: () => Contender): Contender | undefined {
  try {
    return make();
  } catch (error) {
    console.log(`${name} is left out: ${(error as Error).message.split('\n').slice(0, 3).join(' ')}`);
    return undefined;
  }
}

function run(
  { command: [program = '', ...args] }: Contender,
  mode: string,
  size: Size,
  seconds: number,
): Trial {
  const all = [...args, mode, FOLDER, pathOf(mode, size), String(seconds)];
  return JSON.parse(execFileSync(program, all, { encoding: 'utf8' }));
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { rounds: { type: 'string', default: '5' }, quick: { type: 'boolean', default: false } },
  });
  const rounds = values.quick ? 1 : wholeNumber('rounds', values.rounds);
  const seconds = values.quick ? QUICK_SECONDS : SECONDS;
  mkdirSync(FOLDER, { recursive: true });
  const { privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { format: 'pem', type: 'pkcs8' },
    publicKeyEncoding: { format: 'pem', type: 'spki' },
  });
  writeFileSync(join(FOLDER, 'key.pem'), privateKey, { mode: 0o600 });
  writeFileSync(join(FOLDER, 'record.txt'), formatKeyRecord(privateKey));
  const all = contenders();

  console.log(`\n${'ms of CPU (time, MiB)'.padEnd(26)}${all.map(({ name }) => name.padStart(22)).join('')}`);
  for (const size of SIZES) {
    await writeMessages(size, privateKey);
    for (const mode of MODES) {
      const trials = all.map((): Trial[] => []);
      for (let round = 0; round < rounds; round++) {
        for (const [at, contender] of all.entries()) trials[at]?.push(run(contender, mode, size, seconds));
      }
      report(`${mode} ${size.title}`, trials);
    }
  }
}

function report(title: string, trials: readonly Trial[][]): void {
  const of = (field: keyof Trial) => trials.map((all) => median(all.map((trial) => trial[field])));
  const medians = of('cpuMs');
  const [times, peaks] = [of('ms'), of('peakKiB')];
  const cells = medians.map((cpu, at) => {
    const others = `${digits(times[at] as number)}, ${((peaks[at] as number) / 1024).toFixed(0)}`;
    return `${digits(cpu)} (${others})`.padStart(22);
  });
  console.log(`${title.padEnd(26)}${cells.join('')}`);
  const [own = 0, ...others] = medians;
  const ratios = others.map((ms) => `${(ms / own).toFixed(2)} x`.padStart(22));
  console.log(`${'  our speed against'.padEnd(26)}${'1'.padStart(22)}${ratios.join('')}`);
}

const digits = (ms: number): string => ms.toFixed(ms < 10 ? 3 : 0);

void main();
