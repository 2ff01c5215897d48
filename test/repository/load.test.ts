/** The load generator (tools/load.c) before a filter that is played here, frame by frame. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, renameSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { type Load, type LoadError, type LoadResult, load } from '../../tools/load';
import { expectThat } from '../support/expect';

/** Commands that get no answer in any case: macros and quit. */
const SILENT = 'DQ';
const NO_HELO = 0x2;
const NR_HEADER = 0x80;
const NR_BODY = 0x80000;
const LEADING_SPACE = 0x100000;

interface Frame {
  readonly command: string;
  readonly data: Buffer;
}

/** A filter's answers. */
interface Play {
  /** Protocol bits to agree on. */
  readonly protocol?: number;
  /** Commands that get no answer besides. */
  readonly silent?: string;
  /** What to answer a command with; CONTINUE by default. */
  readonly answer?: (frame: Frame) => string[];
}

/** What the generator sent, and what it or its exit code said. */
interface Played {
  readonly frames: Frame[];
  readonly result?: LoadResult;
  readonly failure?: LoadResult;
}

const SMALL: Load = { connections: 1, messages: 1, headers: 2, body: 10, pause: 0 };

function frame(text: string): Buffer {
  const data = Buffer.from(text, 'latin1');
  const size = Buffer.alloc(4);
  size.writeUInt32BE(data.length);
  return Buffer.concat([size, data]);
}

function negotiated(protocol: number): string {
  const words = Buffer.alloc(12);
  [6, 0x1ff, protocol].forEach((word, i) => {
    words.writeUInt32BE(word, i * 4);
  });
  return `O${words.toString('latin1')}`;
}

function serve(socket: Socket, frames: Frame[], { protocol = 0, silent = '', answer }: Play): void {
  let bytes = Buffer.alloc(0);
  socket.on('error', () => {});
  socket.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk]);
    while (bytes.length >= 4 && bytes.length >= 4 + bytes.readUInt32BE()) {
      const end = 4 + bytes.readUInt32BE();
      const one = { command: String.fromCharCode(bytes[4] as number), data: bytes.subarray(5, end) };
      bytes = bytes.subarray(end);
      frames.push(one);
      if (one.command === 'O') socket.write(frame(negotiated(protocol)));
      else if (!(SILENT + silent).includes(one.command)) {
        for (const text of answer?.(one) ?? ['c']) socket.write(frame(text));
      }
    }
  });
}

/** A socket that nobody listens on, as a filter's between its bind() and its listen(). */
function deadSocket(path: string): void {
  const listenAndDie =
    'require("net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))';
  spawnSync(process.execPath, ['-e', listenAndDie, path]);
}

async function play(part: Play, what: Partial<Load> = {}): Promise<Played> {
  const folder = mkdtempSync(join(tmpdir(), 'load-'));
  const path = join(folder, 'sock');
  const frames: Frame[] = [];
  const server = createServer((socket) => serve(socket, frames, part));
  try {
    await new Promise<void>((resolve) => server.listen(path, resolve));
    return { frames, result: await load(`unix:${path}`, { ...SMALL, ...what }) };
  } catch (error) {
    return { frames, failure: JSON.parse((error as LoadError).stdout) as LoadResult };
  } finally {
    await new Promise((resolve) => server.close(resolve));
    rmSync(folder, { recursive: true, force: true });
  }
}

const commands = (frames: readonly Frame[]) => frames.map(({ command }) => command).join('');

/** The answers of a filter that adds a header at the end. */
const adding =
  (header: string) =>
  ({ command }: Frame) =>
    command === 'E' ? [`hX-Bench\0${header}\0`, 'c'] : ['c'];

describe('the load generator', () => {
  it('waits for a filter that has its socket and does not listen yet', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'load-'));
    const path = join(folder, 'sock');
    await play({ answer: adding('2 10') }); // the generator is compiled when it is first needed
    deadSocket(path);
    const server = createServer((socket) => serve(socket, [], { answer: adding('2 10') }));
    try {
      const result = load(`unix:${path}`, SMALL);
      await sleep(200);
      await new Promise<void>((resolve) => server.listen(`${path}.new`, resolve));
      renameSync(`${path}.new`, path);
      expect(pick(await result)).toStrictEqual({ added: 1, wrong: 0, failed: 0 });
    } finally {
      await new Promise((resolve) => server.close(resolve));
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('sends the dialogue of Sendmail, macros before the steps they belong to', async () => {
    const { frames, result } = await play({ answer: adding('2 10') });
    expect(commands(frames)).toBe('ODCHDMDRTLLNBDEQ');
    const macros = frames.filter(({ command }) => command === 'D').map(({ data }) => data.toString('latin1'));
    expect(macros.map((text) => text[0])).toStrictEqual(['C', 'M', 'R', 'E']);
    expect(macros[1] as string).toMatch(/\0\{mail_addr\}\0sender@src\.test\0$/);
    expect(result?.messages).toBe(1);
    expect(pick(result)).toStrictEqual({ added: 1, wrong: 0, failed: 0 });
  });

  it('leaves out steps that were negotiated away, and does not wait for steps without reply', async () => {
    const { frames, result } = await play(
      {
        protocol: NO_HELO | NR_HEADER | NR_BODY,
        silent: 'LB',
        answer: adding('2 200000'),
      },
      { body: 200_000 },
    );
    expect(commands(frames)).toBe('ODCDMDRTLLNBBBBDEQ');
    expect(
      frames.filter(({ command }) => command === 'B').reduce((sum, { data }) => sum + data.length, 0),
    ).toBe(200_000);
    expect(pick(result)).toStrictEqual({ added: 1, wrong: 0, failed: 0 });
  });

  it('sends a leading space if that was negotiated', async () => {
    const { frames } = await play({ protocol: LEADING_SPACE });
    const header = frames.find(({ command }) => command === 'L')?.data.toString('latin1');
    expect(header ?? '').toMatch(/^X-Header-0\0 the value .*\0$/);
  });

  it('counts a message whose added header is wrong', async () => {
    const { failure } = await play({ answer: adding('2 11') }, { messages: 3 });
    expect(failure?.messages).toBe(3);
    expect(pick(failure)).toStrictEqual({ added: 0, wrong: 3, failed: 0 });
  });

  it('counts a refused message, and continues', async () => {
    let messages = 0;
    const { frames, failure } = await play(
      { answer: ({ command }) => [command === 'R' && messages++ === 0 ? 'r' : 'c'] },
      { messages: 2 },
    );
    expect(commands(frames)).toBe('ODCHDMDRDMDRTLLNBDEQ');
    expect(pick(failure)).toStrictEqual({ added: 0, wrong: 1, failed: 0 });
  });

  it('an early ACCEPT ends the message, SKIP ends its body', async () => {
    const early = await play({ answer: ({ command }) => [command === 'M' ? 'a' : 'c'] });
    expect(commands(early.frames)).toBe('ODCHDMQ');
    const skipped = await play({ answer: ({ command }) => [command === 'B' ? 's' : 'c'] }, { body: 200_000 });
    expect(commands(skipped.frames)).toBe('ODCHDMDRTLLNBDEQ');
    expect(pick(skipped.result)).toStrictEqual({ added: 0, wrong: 0, failed: 0 });
  });

  it('counts a connection that is closed, has an invalid reply or negotiates more than was offered', async () => {
    for (const part of [{ answer: () => ['x'] }, { protocol: 0x10000000 }]) {
      expect((await play(part)).failure?.failed).toBe(1);
    }
  });

  it('pauses after each SMTP command', async () => {
    const { result } = await play({}, { pause: 20 });
    // after CONNECT, HELO, MAIL, RCPT, DATA and the final dot
    expectThat(result?.seconds ?? 0, `${result?.seconds} s`).toBeGreaterThanOrEqual(0.12);
  });
});

function pick(result: LoadResult | undefined): unknown {
  const { added, wrong, failed } = result as LoadResult & { added: number; wrong: number };
  return { added, wrong, failed };
}
