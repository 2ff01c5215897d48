/** The mailbox archive: its format, its lock, its rotation, and what is left when a writer is killed or the disk is full. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { MboxArchive, type MboxArchiveOptions, type MboxMessage, readMbox } from 'tsmilter/archive';
import { within } from '../../tools/wait';
import { cpuTime } from '../support/cpu-time';
import { errorWith, expectThat } from '../support/expect';
import { Random } from '../support/random';

const APPENDING = join(__dirname, '../fixtures/appending.js');
const DATE = new Date('2026-11-05T07:08:09Z');
const SEPARATOR = 'From a@src.test Thu Nov  5 07:08:09 2026\n';

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tsmilter-archive-'));
  path = join(directory, 'archive.mbox');
});
afterEach(() => rmSync(directory, { recursive: true }));

const append = (message: string | Buffer, options: MboxArchiveOptions = {}, sender = '<a@src.test>') =>
  new MboxArchive(path, { fsync: false, ...options }).append(Buffer.from(message), { sender, date: DATE });

async function read(file = path): Promise<MboxMessage[]> {
  const messages: MboxMessage[] = [];
  for await (const message of readMbox(file)) messages.push(message);
  return messages;
}

const textsIn = async (file = path) => (await read(file)).map(({ bytes }) => bytes.toString('latin1'));

/** Starts an appending process. */
function start(...args: string[]): ChildProcess & { text: string } {
  const child = spawn(process.execPath, [APPENDING, path, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const texts = Object.assign(child, { text: '' });
  child.stdout.on('data', (data) => {
    texts.text += data;
  });
  child.stderr.on('data', (data) => {
    texts.text += data;
  });
  return texts;
}

const exitOf = async (child: ChildProcess) =>
  (await within('the end of a process', once(child, 'close')))[0] as number | null;

describe('the format', () => {
  it('is mboxrd: a separator with the sender and the time in UTC, LF, quoted From lines, an empty line', async () => {
    await append('Subject: x\r\n\r\nFrom here\r\n>From there\r\n>>From\r\n From a\r\nfrom b\r\n');
    await append('Subject: y\r\n\r\nno line end', {}, '');
    expect(readFileSync(path, 'latin1')).toBe(
      `${SEPARATOR}Subject: x\n\n>From here\n>>From there\n>>From\n From a\nfrom b\n\n` +
        'From MAILER-DAEMON Thu Nov  5 07:08:09 2026\nSubject: y\n\nno line end\n\n',
    );
    expect(await read()).toStrictEqual([
      {
        sender: 'a@src.test',
        date: DATE,
        bytes: Buffer.from('Subject: x\n\nFrom here\n>From there\n>>From\n From a\nfrom b\n'),
      },
      { sender: '', date: DATE, bytes: Buffer.from('Subject: y\n\nno line end\n') },
    ]);
  });

  it('is reversible, whatever the message and its pieces are', async () => {
    const seed = Number(process.env.MILTER_SEED ?? Date.now() % 1e9);
    const random = new Random(seed);
    const parts = [
      'From ',
      'From',
      '>',
      '>>>>',
      '\r\n',
      '\r\n',
      '\n',
      '\r',
      'a',
      'F',
      ' ',
      '',
      '\xff',
      'From \r\n',
    ];
    const archive = new MboxArchive(path, { fsync: false });
    const expected: string[] = [];
    for (let round = 0; round < 400; round++) {
      const text = Array.from({ length: random.below(30) }, () => random.pick(parts)).join('');
      const pieces: Buffer[] = [];
      for (let at = 0; at < text.length; ) {
        const size = random.below(9);
        pieces.push(Buffer.from(text.slice(at, at + size), 'latin1'));
        at += size;
      }
      await archive.append(pieces, { sender: '<a@src.test>' });
      const lines = text.replaceAll('\r\n', '\n');
      // An empty message ends where the line of its separator does.
      expected.push(lines === '' || lines.endsWith('\n') ? lines : `${lines}\n`);
    }
    expectThat(await textsIn(), `seed ${seed}`).toStrictEqual(expected);
  });

  it.each([
    ['a b@src.test', 'a-b@src.test'],
    ['a\r\nFrom x\tb@src.test', 'a--From-x-b@src.test'],
    ['grüße\udcff@src.test', 'grüße\udcff@src.test'],
    ['x'.repeat(5000), 'x'.repeat(1000)],
  ])('has a sender that cannot end its line: %j', async (sender, found) => {
    await append('x\n', {}, `<${sender}>`);
    expect((await read()).map((message) => message.sender)).toStrictEqual([found]);
  });

  it('of other programs is read: two digits of a day, a time zone, no empty line at the end', async () => {
    writeFileSync(
      path,
      'From b@src.test  Sat Jan  3 01:05:34 1996\nA: b\n\nbody\n\nFrom c Sat Jan 3 01:05 1996\nC: d',
    );
    expect(await read()).toStrictEqual([
      { sender: 'b@src.test', date: new Date('1996-01-03T01:05:34Z'), bytes: Buffer.from('A: b\n\nbody\n') },
      { sender: 'c', date: null, bytes: Buffer.from('C: d') },
    ]);
  });

  it('is what a file must have that is read, or appended to', async () => {
    writeFileSync(path, 'Subject: no mailbox\n\n', { mode: 0o600 });
    const error = errorWith({ code: 'ERR_MILTER_ARCHIVE', message: /is not a mailbox/ });
    await expect(read()).rejects.toThrow(error);
    await expect(append('x\n')).rejects.toThrow(error);
    expect(readFileSync(path, 'latin1')).toBe('Subject: no mailbox\n\n');
  });

  it('costs time in proportion to the length, for hostile lines too', async () => {
    const shapes = ['>', '>From ', 'From \n', '>>From \r\n', '\r', '\r\n', '>\n', 'F'];
    const archive = new MboxArchive(path, { fsync: false, maxBytes: 1 });
    const cost = (shape: string, size: number) => {
      const piece = Buffer.from(shape.repeat(Math.ceil(4096 / shape.length)).slice(0, 4096));
      const pieces = Array.from({ length: size / 4096 }, () => piece);
      return cpuTime(() => archive.append(pieces, { sender: 'a' }));
    };
    for (const shape of shapes) {
      await cost(shape, 2 ** 20); // compiled
      const [small, large] = [await cost(shape, 2 ** 20), await cost(shape, 2 ** 23)];
      // 8 times the length; quadratic time would be 64 times.
      expectThat(large, `${JSON.stringify(shape)}: ${small} ms for 1 MiB`).toBeLessThan(
        24 * Math.max(small, 8),
      );
    }
  });

  it('limits the messages that are read', async () => {
    await append('x'.repeat(100_000));
    const messages = readMbox(path, { maxMessageSize: 50_000 });
    await expect(messages.next()).rejects.toThrow(
      errorWith({ code: 'ERR_MILTER_ARCHIVE', message: /50000 bytes/ }),
    );
  });
});

describe('the file', () => {
  it('is private', async () => {
    await append('x\n');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(directory)).toStrictEqual(['archive.mbox']);
  });

  it.each<[string, (target: string) => void, RegExp]>([
    ['a symbolic link', (target) => symlinkSync(target, path), /symbolic link/],
    ['a hard link', (target) => linkSync(target, path), /another name/],
    ['a directory', () => mkdirSync(path), /EISDIR|not a regular file/],
  ])('is not %s', async (_, make, message) => {
    const target = join(directory, 'target');
    writeFileSync(target, '', { mode: 0o600 });
    make(target);
    await expect(append('x\n')).rejects.toThrow(message);
    expect(readFileSync(target, 'latin1')).toBe('');
    expect(existsSync(`${path}.lock`)).toBe(false);
  });

  it('gives others no more rights than the option mode', async () => {
    await append('x\n');
    chmodSync(path, 0o640);
    await expect(append('y\n')).rejects.toThrow(
      errorWith({ code: 'ERR_MILTER_ARCHIVE', message: /its mode is 0640.*chmod 0600/ }),
    );
    await append('y\n', { mode: 0o640 });
    expect(await textsIn()).toStrictEqual(['x\n', 'y\n']);
    expect(() => new MboxArchive(path, { mode: 0o660 })).toThrow(
      errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT' }),
    );
  });

  it('stays as it was if the message cannot be read to its end', async () => {
    await append('x\n');
    const before = readFileSync(path);
    async function* failing(): AsyncGenerator<Buffer> {
      yield Buffer.alloc(100_000, 'y');
      throw new Error('the body is gone');
    }
    const archive = new MboxArchive(path);
    await expect(archive.append(failing(), { sender: 'a' })).rejects.toThrow('the body is gone');
    expect(readFileSync(path)).toStrictEqual(before);
    await archive.append(Buffer.from('z\n'), { sender: 'a' });
    expect(await textsIn()).toStrictEqual(['x\n', 'z\n']);
  });

  it('stays as it was if there is no room for the message, and the error is that of the system', async () => {
    // The limit of a file's size stands for a full disk: 100 blocks of 1,024 bytes.
    const command = 'ulimit -f 100; exec "$@"';
    const args = ['-c', command, '-', process.execPath, APPENDING, path, 'm', '9'];
    const child = spawn('bash', args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += data));
    expect(await exitOf(child)).toBe(1);
    const lines = output.trim().split('\n');
    expect(lines.pop()).toMatch(/^EFBIG: /);
    expect(lines.length).toBeGreaterThan(0);
    expect((await textsIn()).map((text) => text.split('\n', 1)[0])).toStrictEqual(
      lines.map((name) => `Subject: ${name}`),
    );
  });
});

describe('rotation', () => {
  it('puts a file of an earlier day aside, under its day', async () => {
    await append('x\n');
    utimesSync(path, new Date(), new Date('2026-11-01T23:59:59Z'));
    await append('y\n', { daily: false });
    expect(readdirSync(directory)).toStrictEqual(['archive.mbox']);
    for (const text of ['z\n', '1\n']) {
      utimesSync(path, new Date(), new Date('2026-11-01T23:59:59Z'));
      await append(text);
    }
    await append('2\n');
    const [now, first, second] = readdirSync(directory).sort();
    expect([now, first, second]).toStrictEqual([
      'archive.mbox',
      'archive.mbox-2026-11-01',
      'archive.mbox-2026-11-01.1',
    ]);
    expect(await textsIn(join(directory, first as string))).toStrictEqual(['x\n', 'y\n']);
    expect(await textsIn(join(directory, second as string))).toStrictEqual(['z\n']);
    expect(await textsIn()).toStrictEqual(['1\n', '2\n']);
  });

  it('puts a full file aside', async () => {
    for (let n = 0; n < 4; n++) await append(`${n}`.repeat(60), { maxBytes: 150 });
    const counts = await Promise.all(readdirSync(directory).map((name) => textsIn(join(directory, name))));
    expect(counts.map(({ length }) => length)).toStrictEqual([2, 2]);
  });

  const EARLIER = new Date('2026-11-01T23:59:59Z');

  it.each<[string, string, number, RegExp]>([
    ['is no mailbox', 'Subject: no mailbox\n\n', 0o600, /is not a mailbox/],
    ['others may read', `${SEPARATOR}x\n\n`, 0o644, /its mode is 0644/],
    ['others may write', `${SEPARATOR}x\n\n`, 0o666, /its mode is 0666/],
  ])('leaves a file alone that %s, however old or large it is', async (_, text, mode, message) => {
    for (const options of [{}, { daily: false, maxBytes: 1 }]) {
      writeFileSync(path, text);
      chmodSync(path, mode);
      utimesSync(path, EARLIER, EARLIER);
      await expect(append('y\n', options)).rejects.toThrow(
        errorWith({ code: 'ERR_MILTER_ARCHIVE', message }),
      );
      expect(readdirSync(directory)).toStrictEqual(['archive.mbox']);
      expect(readFileSync(path, 'latin1')).toBe(text);
    }
  });

  it('leaves a link alone, however old its target is', async () => {
    const target = join(directory, 'target');
    writeFileSync(target, `${SEPARATOR}x\n\n`, { mode: 0o600 });
    utimesSync(target, EARLIER, EARLIER);
    linkSync(target, path);
    await expect(append('y\n')).rejects.toThrow(/another name/);
    expect(readdirSync(directory).sort()).toStrictEqual(['archive.mbox', 'target']);
  });
});

describe('several writers', () => {
  it('in two processes lose no message, also while files are put aside', async () => {
    const children = ['a', 'b'].map((name) => start(name, '40', '{"maxBytes":500000}'));
    const exits = await Promise.all(children.map(exitOf));
    expectThat(exits, children.map(({ text }) => text).join('')).toStrictEqual([0, 0]);
    const files = readdirSync(directory);
    expect(files.length).toBeGreaterThan(3);
    expect(files.filter((name) => name.includes('.lock'))).toStrictEqual([]);
    const found = (await Promise.all(files.map((name) => textsIn(join(directory, name))))).flat();
    const ids = found.map((text) => {
      const id = /^Subject: (.*)\n/.exec(text)?.[1] as string;
      expect(text).toBe(`Subject: ${id}\n\n${`${id}\n`.repeat(5000)}end\n`);
      return id;
    });
    const sent = ['a', 'b'].flatMap((name) => Array.from({ length: 40 }, (_, n) => `${name}-${n}`));
    expect(ids.sort()).toStrictEqual(sent.sort());
  });

  it('of one process take turns', async () => {
    const archives = [new MboxArchive(path), new MboxArchive(path)];
    await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        (archives[n % 2] as MboxArchive).append(
          [`${n}\n`, 'x'.repeat(10_000)].map((text) => Buffer.from(text)),
          {
            sender: 'a',
          },
        ),
      ),
    );
    const numbers = (await textsIn()).map((text) => Number(text.split('\n', 1)[0]));
    expect(numbers.sort((a, b) => a - b)).toStrictEqual([...Array(20).keys()]);
  });
});

describe('a writer that is killed', () => {
  it('leaves a file that can be read, and a lock that holds up nobody', async () => {
    await append('x\n');
    const child = start('killed', 'half');
    await within('half of a message', once(child.stdout as NodeJS.ReadableStream, 'data'));
    expect(readdirSync(directory)).toStrictEqual(['archive.mbox', 'archive.mbox.lock']);
    child.kill('SIGKILL');
    await exitOf(child);
    await append('y\n', { lockTimeout: 0 });
    const [first, killed, last, ...more] = await textsIn();
    expect([first, last, more]).toStrictEqual(['x\n', 'y\n', []]);
    expect(killed).toMatch(/^Subject: killed\n\n(killed\n)*k?i?l?l?e?d?\n$/);
    expect(readdirSync(directory)).toStrictEqual(['archive.mbox']);
  });

  it('at any moment, costs its own message at most', async () => {
    for (const name of ['a', 'b', 'c', 'd']) {
      const child = start(name, '1000', '{"fsync":false}');
      await within('a message', once(child.stdout as NodeJS.ReadableStream, 'data'));
      child.kill('SIGKILL');
      await exitOf(child);
      await append(`after ${name}\n`);
      const texts = await textsIn();
      expect(texts.at(-1)).toBe(`after ${name}\n`);
      const whole = texts.filter((text) => text.endsWith('\nend\n')).map((text) => text.split('\n', 1)[0]);
      for (const id of child.text.trim().split('\n')) expect(whole).toContain(`Subject: ${id}`);
    }
  });
});

describe('the lock', () => {
  const lockIs = (text: string, age = 0) => {
    writeFileSync(`${path}.lock`, text);
    const then = new Date(Date.now() - age);
    utimesSync(`${path}.lock`, then, then);
  };

  it('of another program is waited for, and then the append fails', async () => {
    lockIs('1\n');
    await expect(append('x\n', { lockTimeout: 60 })).rejects.toThrow(
      errorWith({
        code: 'ERR_MILTER_ARCHIVE',
        message: /archive\.mbox\.lock: another program has held this lock/,
      }),
    );
    expect(existsSync(path)).toBe(false);
    const appended = append('x\n');
    rmSync(`${path}.lock`);
    await appended;
    expect(await textsIn()).toStrictEqual(['x\n']);
  });

  it.each(['', '1\n', `${process.pid}\nelsewhere 1\n`])(
    'is stale when nobody has touched it: %j',
    async (text) => {
      lockIs(text, 290_000);
      await expect(append('x\n', { lockTimeout: 0 })).rejects.toThrow(/another program/);
      lockIs(text, 310_000);
      await append('x\n', { lockTimeout: 0 });
      expect(readdirSync(directory)).toStrictEqual(['archive.mbox']);
    },
  );

  it('is touched while it is held', async () => {
    let resume: () => void = () => {};
    let old = 0;
    async function* slow(): AsyncGenerator<Buffer> {
      const then = new Date(Date.now() - 60_000);
      utimesSync(`${path}.lock`, then, then);
      old = statSync(`${path}.lock`).mtimeMs;
      await new Promise<void>((resolve) => {
        resume = resolve;
      });
      yield Buffer.from('x\n');
    }
    const appended = new MboxArchive(path, { staleAfter: 1000 }).append(slow(), { sender: 'a' });
    await within(
      'a younger lock',
      (async () => {
        while (old === 0 || statSync(`${path}.lock`).mtimeMs === old)
          await new Promise((next) => setTimeout(next, 20));
      })(),
    );
    resume();
    await appended;
    expect(await textsIn()).toStrictEqual(['x\n']);
  });

  it('that is a directory, as some programs make it, is never removed', async () => {
    mkdirSync(`${path}.lock`);
    utimesSync(`${path}.lock`, 1, 1);
    await expect(append('x\n', { lockTimeout: 0 })).rejects.toThrow(
      errorWith({ code: 'ERR_MILTER_ARCHIVE' }),
    );
    expect(existsSync(`${path}.lock`)).toBe(true);
  });
});

it('a mailbox that another program has left without a line end is continued on a line of its own', async () => {
  await append('x\n');
  appendFileSync(path, 'From b@src.test Thu Nov  5 07:08:09 2026\nSubject: cut o');
  await append('y\n');
  expect(await textsIn()).toStrictEqual(['x\n', 'Subject: cut o\n', 'y\n']);
});

describe('check', () => {
  const check = () => new MboxArchive(path).check();

  it('writes nothing', async () => {
    await check();
    expect(existsSync(path)).toBe(false);
    await append('x\n');
    const before = readFileSync(path, 'latin1');
    await check();
    expect(readFileSync(path, 'latin1')).toBe(before);
  });

  it.each<[what: string, make: () => void, fault: string | RegExp]>([
    ['a directory', () => mkdirSync(path), /EISDIR/],
    ['a file that others may read', () => writeFileSync(path, '', { mode: 0o644 }), /chmod 0600/],
    ['a file of something else', () => writeFileSync(path, 'notes\n', { mode: 0o600 }), /is not a mailbox/],
    [
      'a file in no directory',
      () => {
        path = join(directory, 'none/archive.mbox');
      },
      /ENOENT/,
    ],
  ])('refuses %s, as append does', async (_, make, fault) => {
    make();
    await expect(check()).rejects.toThrow(fault);
    await expect(append('x\n')).rejects.toThrow(fault);
  });
});
