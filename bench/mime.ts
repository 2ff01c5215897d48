/**
 * Measures how fast messages are defanged, by tsmilter/mime and by pymilter's `mime` in one run.
 *
 *     node .build/bench/mime.js [FOLDER ...] [--rounds 5] [--passes 20] [--warmup 500]
 *
 * The messages are generated, or files of the folders. Each round starts a fresh process for each side, in turns. It reads,
 * defangs and writes each message `passes` times, one of less than 100 KB more often. Before that it does so for `warmup`
 * milliseconds that do not count, because a filter runs for weeks, and Node.js has then compiled what it uses. What counts is CPU
 * time of the whole process, which other programs on the machine affect little. The medians of the rounds are compared, for the
 * messages that both sides can process. Without pymilter its column stays empty. PYTHON in the environment names the
 * interpreter that has it.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { median } from './statistics';
import { wholeNumber } from './whole-number';

interface Result {
  /** For each message; null if the side failed. */
  readonly milliseconds: readonly (number | null)[];
  readonly failed: number;
}

const text = (size: number): string => 'Some words of a letter, not many in a line.\r\n'.repeat(size / 45);
const base64 = (size: number): string => `${'QUJDREVGR0hJSktM'.repeat(4)}QUJDREVG\r\n`.repeat(size / 74);

function multipart(...parts: string[]): string {
  const body = parts.map((part) => `--cut\r\n${part}\r\n`).join('');
  return `Subject: s\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=cut\r\n\r\n${body}--cut--\r\n`;
}

const attachment = (name: string, size: number): string =>
  `Content-Type: application/octet-stream; name="${name}"\r\nContent-Transfer-Encoding: base64\r\n\r\n${base64(size)}`;
const html = (content: string): string => `Content-Type: text/html\r\n\r\n<html><p>${content}</html>`;

const GENERATED: Readonly<Record<string, string>> = {
  'text 2 KB': `Subject: s\r\n\r\n${text(2_000)}`,
  'text 1 MB': `Subject: s\r\n\r\n${text(1_000_000)}`,
  'photo 1 MB': multipart(`Content-Type: text/plain\r\n\r\n${text(500)}`, attachment('a.jpg', 1_000_000)),
  'program 1 MB': multipart(attachment('a.exe', 1_000_000)),
  'HTML 50 KB': multipart(html(text(50_000))),
  'HTML 50 KB, a script': multipart(html(`<script>x</script>${text(50_000)}`)),
  '100 parts': multipart(...new Array<string>(100).fill(attachment('a.txt', 500))),
  'attached message': multipart(
    `Content-Type: message/rfc822\r\n\r\n${multipart(attachment('a.exe', 10_000))}`,
  ),
};

/** The interpreter that has pymilter, or null. */
function findPython(): string | null {
  for (const python of process.env.PYTHON ? [process.env.PYTHON] : ['python3', '/usr/bin/python3']) {
    try {
      execFileSync(python, ['-c', 'import mime; mime.defang'], { stdio: 'ignore' });
      return python;
    } catch {
      // not this one
    }
  }
  return null;
}

function writeGenerated(directory: string): string[] {
  return Object.entries(GENERATED).map(([title, message]) => {
    const path = join(directory, title);
    writeFileSync(path, message);
    return path;
  });
}

const filesIn = (folder: string): string[] =>
  readdirSync(folder)
    .sort()
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile());

function measure(program: string, args: readonly string[]): Result {
  return JSON.parse(execFileSync(program, args, { encoding: 'utf8', maxBuffer: 2 ** 26 }));
}

function main(): void {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rounds: { type: 'string', default: '5' },
      passes: { type: 'string', default: '20' },
      warmup: { type: 'string', default: '500' },
    },
  });
  const rounds = wholeNumber('rounds', values.rounds);
  const passes = wholeNumber('passes', values.passes);
  const warmup = wholeNumber('warmup', values.warmup);
  const python = findPython();
  if (!python)
    console.log('pymilter is not installed (apt install python3-milter): measuring this project alone\n');

  const directory = mkdtempSync(join(tmpdir(), 'bench-mime-'));
  try {
    const paths = [...writeGenerated(directory), ...positionals.flatMap(filesIn)];
    const args = [String(warmup), String(passes), ...paths];
    const project: Result[] = [];
    const peer: Result[] = [];
    const bench = join(__dirname, '../../bench');
    for (let round = 0; round < rounds; round++) {
      project.push(measure(process.execPath, [join(__dirname, 'mime-project.js'), ...args]));
      if (python) peer.push(measure(python, [join(bench, 'mime-peer.py'), ...args]));
    }
    report(paths, project, peer);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** The median of all rounds, in milliseconds. */
function medianOf(results: readonly Result[], index: number): number | null {
  const times = results
    .map((result) => result.milliseconds[index])
    .filter((value) => typeof value === 'number');
  return times.length === 0 ? null : median(times);
}

function report(paths: readonly string[], project: Result[], peer: Result[]): void {
  const column = (value: number | null, digits = 3) =>
    (value === null ? '-' : value.toFixed(digits)).padStart(12);
  console.log(
    `${'ms of CPU per message'.padEnd(30)}${'tsmilter/mime'.padStart(12)}${'pymilter'.padStart(12)}${'times'.padStart(12)}`,
  );
  let ours = 0;
  let theirs = 0;
  for (const [index, path] of paths.entries()) {
    const a = medianOf(project, index);
    const b = medianOf(peer, index);
    console.log(
      `${basename(path).slice(0, 29).padEnd(30)}${column(a)}${column(b)}${column(a && b && b / a, 1)}`,
    );
    if (a === null || b === null) continue;
    ours += a;
    theirs += b;
  }
  if (peer.length === 0) return;
  console.log(`${'total of both'.padEnd(30)}${column(ours)}${column(theirs)}${column(theirs / ours, 1)}`);
  console.log(
    `\nfailed: tsmilter/mime ${project[0]?.failed}, pymilter ${peer[0]?.failed} of ${paths.length}`,
  );
}

main();
