/** Runs blocks of the documentation: filters are sent a message and stopped, everything else must end with 0. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { text as readAll } from 'node:stream/consumers';
import { expect } from '@jest/globals';
import { MtaSession, type PeerAddress, type Response } from 'tsmilter/testing';
import { expectThat } from '../expect';
import { threadsOf } from '../threads-of';
import type { Program } from './workshop';

/** For a program, or a filter's answer, in milliseconds; generous, because sanitizers are slow. */
const PATIENCE = 30_000;

/** A line of the filter's log that tells of no error, by the package or by pino. */
const LOGGED = /^(?:\S+Z (?:debug|info ) |\{"level":30,)/;

interface Ending {
  readonly status: number | string | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Of a program that did not end in time: what its threads were doing. */
  readonly threads: string;
}

/** Starts Node. `ended` resolves at its end, whatever it is. */
function start(args: readonly string[]): { ended: Promise<Ending>; stop: () => void } {
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let threads = '';
  const timer = setTimeout(() => {
    threads = threadsOf(child.pid as number);
    child.kill('SIGKILL');
  }, 2 * PATIENCE);
  const ended = Promise.all([once(child, 'exit'), readAll(child.stdout), readAll(child.stderr)]).then(
    ([[code, signal], stdout, stderr]) => {
      clearTimeout(timer);
      return { status: code ?? signal, stdout, stderr, threads };
    },
  );
  return { ended, stop: () => void child.kill('SIGTERM') };
}

/** Runs a program that ends by itself. */
export async function runToEnd({ file }: Program): Promise<void> {
  const { status, stdout, stderr, threads } = await start(['--enable-source-maps', file]).ended;
  expectThat(status, `${stdout}\n${stderr}\n${threads}`).toBe(0);
}

/** Runs a program that is a filter, or exports one: until it listens, through two sessions, and until it has stopped. */
export async function runFilter(program: Program, socket: string): Promise<void> {
  const args = program.socket ? [program.file] : [join(__dirname, 'serve.js'), program.file, socket];
  const { ended, stop } = start(args);
  let over: Ending | undefined;
  void ended.then((ending) => {
    over = ending;
  });
  let failure: unknown;
  try {
    await Promise.race([
      talkTo(socket),
      ended.then(() => {
        throw new Error('it ended by itself');
      }),
    ]);
  } catch (error) {
    failure = error;
  }
  if (!over) stop();
  const { status, stdout, stderr, threads } = await ended;
  if (failure) throw new Error(`${failure}\n${stdout}\n${stderr}`);
  expect(stderr.split('\n').filter((line) => line !== '' && !LOGGED.test(line))).toStrictEqual([]);
  expectThat(status, `${stdout}\n${stderr}\n${threads}`).toBe(0);
  expectThat(existsSync(socket.replace('unix:', '')), 'the socket file is left').toBe(false);
}

const CLIENTS: readonly (readonly [hostname: string, address: PeerAddress])[] = [
  ['mail.example', { family: 'inet', address: '192.0.2.1', port: 40_000 }],
  ['[IPv6:2001:db8::1]', { family: 'inet6', address: '2001:db8::1', port: 40_001 }],
];

const MACROS = {
  connect: { j: 'mx.example', _: 'mail.example [192.0.2.1]' },
  mail: { i: 'Q1', mail_addr: 'alice@mail.example' },
  rcpt: { rcpt_addr: 'bob@example.com' },
  eom: { i: 'Q1', msg_id: '<1@mail.example>' },
};

const goesOn = ({ verdict }: Response): boolean => ['continue', 'noreply', 'skipped'].includes(verdict);

async function talkTo(socket: string): Promise<void> {
  for (const client of CLIENTS) {
    await using mta = await MtaSession.open(socket, { retry: true, timeout: PATIENCE, macros: MACROS });
    if (!goesOn(await mta.connect(...client)) || !goesOn(await mta.helo('mail.example'))) continue;
    await mta.unknown('FOO bar');
    for (const subject of ['you won the lottery', Buffer.from('gr\xfc\xdfe', 'latin1')]) {
      await mta.message({
        sender: ['<alice@mail.example>', 'SIZE=100', 'BODY=8BITMIME'],
        recipients: ['<bob@example.com>', '<carol@example.com>'],
        headers: [
          ['Subject', subject],
          ['X-Trace', 'one'],
          ['X-Trace', 'two'],
        ],
        body: 'Hello.\r\n',
      });
    }
    await mta.mail('<>');
    await mta.abort();
  }
}
