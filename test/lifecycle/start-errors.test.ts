/**
 * Starts that are refused: each with its code and a message that says what to do. Nothing is left listening, no other filter
 * is disturbed, and a correct start succeeds afterwards in the same process.
 */
import { existsSync, lstatSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { expect, test } from '@jest/globals';
import {
  BAD_SOCKET,
  IN_USE,
  leaveStaleSocket,
  NO_SOCKET,
  NOBODY,
  REFUSALS,
} from '../fixtures/lifecycle/refusals.js';
import {
  attempt,
  attempts,
  endsWell,
  finishes,
  listeners,
  starter,
  startsWellNow,
} from '../fixtures/lifecycle/starter.js';
import { expectThat } from '../support/expect.js';
import { goodMessage, greet, servesWell } from './support/messages.js';
import { ObservedFilter, type Told } from './support/observed-filter.js';

function assertRefused(told: Told, code: string, message: string): void {
  expect({ code: told.code, message: told.message, name: told.name }).toStrictEqual({
    code,
    message,
    name: 'MilterError',
  });
}

for (const { title, socket: socketIn, code, message, run, uid } of REFUSALS) {
  test(`${code}: ${title}; nothing is left behind, and a correct start succeeds`, async () => {
    await using filter = await starter(uid === undefined ? {} : { uid });
    const socket = socketIn(filter.directory);
    const path = socket.slice(socket.indexOf(':') + 1);
    const there = existsSync(path);
    for (let time = 1; time <= 2; time++) {
      assertRefused(await attempt(filter, { socket, ...(run && { run }) }), code, message(socket, path));
      expect(await listeners(filter)).toStrictEqual([]);
    }
    if (path.startsWith('/')) expect(existsSync(path)).toBe(there);
    await startsWellNow(filter);
  });
}

test('EADDRINUSE: a running filter has the unix socket, and is not disturbed', async () => {
  await using other = await ObservedFilter.start();
  const before = lstatSync(other.path);
  const session = await other.open();
  await greet(session, 'parkThenModify.eom');
  const message = session.message(goodMessage);
  await other.event('parked');
  await using filter = await starter();
  for (const run of [{}, { removeSocket: true }, { removeSocket: false }, { owner: 0, mode: 0o600 }]) {
    assertRefused(
      await attempt(filter, { socket: other.socket, run }),
      'EADDRINUSE',
      `${other.path} ${IN_USE}`,
    );
  }
  const after = lstatSync(other.path);
  expect([after.ino, after.mode, after.ctimeMs]).toStrictEqual([before.ino, before.mode, before.ctimeMs]);
  other.tell({ do: 'release' });
  expect((await message).verdict).toBe('continue');
  await session.quit();
  await servesWell(other);
  // The check whether the socket is in use was not a session.
  expect([(await other.diag()).made, other.count('error')]).toStrictEqual([2, 0]);
  await startsWellNow(filter);
  await servesWell(other);
});

test('EADDRINUSE: a filter that is suspended is not taken for a dead one', async () => {
  await using other = await ObservedFilter.start();
  const { ino } = lstatSync(other.path);
  other.child.kill('SIGSTOP');
  await using filter = await starter();
  assertRefused(await attempt(filter, { socket: other.socket }), 'EADDRINUSE', `${other.path} ${IN_USE}`);
  expect(lstatSync(other.path).ino).toBe(ino);
  other.child.kill('SIGCONT');
  await servesWell(other);
  // Control: after its death the socket is stale.
  other.child.kill('SIGKILL');
  await other.ended();
  expect((await attempt(filter, { socket: other.socket })).listening).toBe(true);
  await servesWell(other);
  await endsWell(filter);
});

test('EADDRINUSE: another user’s filter, to which this user may not connect', async () => {
  await using other = await ObservedFilter.start({ run: { mode: 0o600 } });
  await using filter = await starter({ uid: NOBODY });
  assertRefused(await attempt(filter, { socket: other.socket }), 'EADDRINUSE', `${other.path} ${IN_USE}`);
  await servesWell(other);
  await startsWellNow(filter);
});

test('a stale socket is removed; with removeSocket: false it is EADDRINUSE', async () => {
  await using filter = await starter();
  leaveStaleSocket(filter.path);
  const { ino } = lstatSync(filter.path);
  const refused = await attempt(filter, { run: { removeSocket: false } });
  assertRefused(refused, 'EADDRINUSE', `${filter.path} ${IN_USE}`);
  expect(lstatSync(filter.path).ino).toBe(ino);
  await startsWellNow(filter);
});

for (const [family, host, socketOf] of [
  ['IPv4', '127.0.0.1', (port: number) => `inet:${port}@127.0.0.1`],
  ['IPv4, all addresses', '127.0.0.1', (port: number) => `inet:${port}`],
  ['IPv6', '::1', (port: number) => `inet6:${port}@::1`],
] as const) {
  test(`EADDRINUSE: a TCP port that is taken (${family})`, async () => {
    await using filter = await starter();
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, host, resolve));
    try {
      const socket = socketOf((server.address() as AddressInfo).port);
      assertRefused(await attempt(filter, { socket }), 'EADDRINUSE', `${socket} ${IN_USE}`);
      expect(await listeners(filter)).toStrictEqual([]);
    } finally {
      server.close();
    }
    await startsWellNow(filter);
  });
}

test('ENOTSOCK: a regular file stays as it was', async () => {
  await using filter = await starter();
  const path = join(filter.directory, 'precious');
  writeFileSync(path, 'precious');
  const refused = await attempt(filter, { socket: `unix:${path}` });
  assertRefused(refused, 'ENOTSOCK', `${path} ${NO_SOCKET}`);
  expect(readFileSync(path, 'utf8')).toBe('precious');
  await startsWellNow(filter);
});

/** A path in `directory` of so many bytes. */
const pathOf = (directory: string, bytes: number, fill = 'x') => {
  const rest = bytes - Buffer.byteLength(directory) - 1;
  return `${directory}/${fill.repeat(rest / Buffer.byteLength(fill))}`.padEnd(bytes - rest, 'x');
};

test('ENAMETOOLONG: a path of 107 bytes is refused, one of 106 is accepted', async () => {
  await using filter = await starter();
  const umlauts = `${filter.directory}/${'ä'.repeat(50)}`;
  for (const path of [pathOf(filter.directory, 107), pathOf(filter.directory, 108), umlauts]) {
    expect(Buffer.byteLength(path)).toBeGreaterThanOrEqual(107);
    const { code, message } = await attempt(filter, { socket: `unix:${path}` });
    expect(code).toBe('ENAMETOOLONG');
    expectThat(
      String(message).startsWith(`${path}: the path of a unix socket must be shorter than `),
      String(message),
    ).toBe(true);
  }
  const longest = pathOf(filter.directory, 106);
  expect((await attempt(filter, { socket: longest })).listening).toBe(true);
  expect(await listeners(filter)).toStrictEqual([longest]);
  await endsWell(filter);
  expect(existsSync(longest)).toBe(false);
});

test('ENAMETOOLONG: the message names the limit', async () => {
  await using filter = await starter();
  const { message } = await attempt(filter, { socket: pathOf(filter.directory, 107) });
  const limit = /shorter than (\d+) bytes/.exec(String(message))?.[1];
  expectThat(limit, `a path of 107 bytes was refused: ${message}`).toBe('107');
});

test('ERR_MILTER_BAD_SOCKET: sockets that libmilter would misread', async () => {
  await using filter = await starter();
  const sockets = [
    'tcp:1234',
    'http://127.0.0.1:1234',
    'unix',
    'x:/run/sock',
    'unixx:/run/sock',
    ' unix:/run/sock',
    '1234:',
    'unix:',
    'local:',
    ':',
    'inet:',
    'inet6:',
    'fd:',
    'FD:a b',
    'fd:-1',
    'fd:1.5',
    'fd:0x4',
    'fd: 4',
    'fd:4 ',
    'inet:@127.0.0.1',
    'inet:1234@',
    'inet:1234@a@b',
    'inet:65536',
    'inet:70000@127.0.0.1',
    'inet:-1',
    'inet: 1234',
    'inet:12 34',
    'inet:0x1234',
    'inet:1234x',
    'inet:12.5',
    'inet:127.0.0.1',
    'inet6:::1',
    'inet6:1234@',
    'INET6:@::1',
    'inet:1234\n',
    'inet :1234',
  ].filter((socket) => socket !== 'unix'); // a path of its own, of four letters
  const ofPostfix = new Map([
    ['inet:127.0.0.1:1234', 'inet:1234@127.0.0.1'],
    ['inet6:[::1]:1234', 'inet6:1234@::1'],
  ]);
  const all = [...sockets, ...ofPostfix.keys()];
  const told = await attempts(filter, ...all.map((socket) => ({ socket })));
  for (const [i, socket] of all.entries()) {
    const meant = ofPostfix.get(socket);
    const reason = meant
      ? `is how Postfix spells a socket; libmilter has the port first: write ${meant}`
      : BAD_SOCKET;
    assertRefused(told[i] as Told, 'ERR_MILTER_BAD_SOCKET', `${JSON.stringify(socket)} ${reason}`);
  }
  expect(await listeners(filter)).toStrictEqual([]);
  await startsWellNow(filter);
});

test('ERR_MILTER_BAD_ARGUMENT: an invalid socket, name, factory or option; nothing is left listening', async () => {
  await using bare = await starter();
  const without = await attempt(bare, { factory: 'none' });
  assertRefused(
    without,
    'ERR_MILTER_BAD_ARGUMENT',
    'runmilter needs a factory: pass { factory: YourFilter }',
  );
  const run = (option: string, value: unknown) => [{ run: { [option]: value } }, option] as const;
  const bad = [
    [{ socket: '' }, 'the socket'],
    [{ socket: 8890 }, 'the socket'],
    [{ socket: null }, 'the socket'],
    [{ socket: '/run/a\0b' }, 'the socket'],
    [{ name: '' }, "the filter's name"],
    [{ name: 5 }, "the filter's name"],
    [{ name: 'a\0b' }, "the filter's name"],
    [{ factory: 'number' }, 'the factory'],
    [{ factory: 'string' }, 'the factory'],
    ...['timeout', 'handlerTimeout', 'progressInterval', 'drainTimeout', 'backlog', 'debug', 'mode'].flatMap(
      (name) => [-1, 0.5, '1', 2 ** 31, true, [], {}].map((value) => run(name, value)),
    ),
    run('backlog', 0),
    run('mode', 0o1000),
    run('mode', '660'),
    run('owner', ''),
    run('group', ''),
    run('group', 'a\0b'),
  ] as const;
  for (const [one, word] of bad) {
    const { code, message } = await attempt(bare, one);
    const shown = `${JSON.stringify(one)}: ${code} ${message}`;
    expectThat(code, shown).toBe('ERR_MILTER_BAD_ARGUMENT');
    expectThat(String(message).startsWith(word), shown).toBe(true);
  }
  expect(await listeners(bare)).toStrictEqual([]);
  expect(existsSync(bare.path)).toBe(false);
  await startsWellNow(bare);
});

test('ERR_MILTER_IN_USE: of three simultaneous starts one succeeds, and a later one is refused as well', async () => {
  await using filter = await starter();
  const second = `unix:${join(dirname(filter.path), 'second')}`;
  const message = 'milter module in use: a filter is running in this process already';
  const [first, ...others] = await attempts(
    filter,
    { socket: filter.socket },
    { socket: second },
    { socket: filter.socket },
  );
  expect(first?.listening).toBe(true);
  for (const told of [...others, await attempt(filter, { socket: second })]) {
    assertRefused(told, 'ERR_MILTER_IN_USE', message);
  }
  expect(await listeners(filter)).toStrictEqual([filter.path]);
  await servesWell(filter);
  await endsWell(filter);
});

/** A filter that has run and ended. */
async function hasRun(): Promise<ObservedFilter> {
  const filter = await starter();
  expect((await attempt(filter)).listening).toBe(true);
  await servesWell(filter);
  filter.tell({ do: 'stop' });
  await filter.event('stop resolved');
  return filter;
}

test('ERR_MILTER_ALREADY_RUN: after the end, on another socket', async () => {
  await using filter = await hasRun();
  for (const socket of [`${filter.socket}2`, 'inet:0@127.0.0.1']) {
    const { code, message } = await attempt(filter, { socket });
    expectThat(code, String(message)).toBe('ERR_MILTER_ALREADY_RUN');
    expect(String(message)).toMatch(/start a new process$/);
    expect(await listeners(filter)).toStrictEqual([]);
  }
  await finishes(filter);
});

test('ERR_MILTER_ALREADY_RUN: after the end, on the same socket: onListening is not called', async () => {
  await using filter = await hasRun();
  assertRefused(
    await attempt(filter),
    'ERR_MILTER_ALREADY_RUN',
    'a filter has run and ended in this process; libmilter cannot start again: start a new process',
  );
  expect(await listeners(filter)).toStrictEqual([]);
  await finishes(filter);
});

test('ERR_MILTER_ALREADY_RUN: the process continues, and onListening is not called', async () => {
  await using filter = await hasRun();
  await attempt(filter, { throws: 'never called' });
  expect(await listeners(filter)).toStrictEqual([]);
  await finishes(filter);
});

test('onListening that throws: the filter is stopped, and runmilter rejects with its error', async () => {
  await using filter = await starter();
  const throwing = await attempt(filter, { throws: 'I changed my mind' });
  expect(throwing.listening).toBe(true);
  const { code, name, message } = await filter.event('rejected');
  expect({ code, name, message }).toStrictEqual({ code: null, name: 'Error', message: 'I changed my mind' });
  expect(await listeners(filter)).toStrictEqual([]);
  expect(existsSync(filter.path)).toBe(false);
  expect((await attempt(filter, { socket: 'inet:0' })).code).toBe('ERR_MILTER_ALREADY_RUN');
  await finishes(filter);
});

test('the options of a refused start do not apply to the next one', async () => {
  await using control = await starter();
  await using filter = await starter();
  expect((await attempt(filter, { socket: 'unix:/none/sock', run: { timeout: 1 } })).code).toBe('ENOENT');
  expect((await attempt(filter)).listening).toBe(true);
  expect((await attempt(control, { run: { timeout: 1 } })).listening).toBe(true);
  const half = Buffer.from([0, 0, 0, 3, 0x48, 0x78]); // HELO x without its last byte
  const slow = await filter.open();
  await slow.connect('client.example');
  await slow.sendRaw(half);
  // Twice the time that libmilter gives up a session after, where it is told to.
  for (let time = 1; time <= 2; time++) {
    await using session = await control.open();
    await session.connect('client.example');
    await session.sendRaw(half);
    await session.waitForClose();
  }
  expectThat(slow.closed, 'closed by the timeout of the refused start').toBe(false);
  const reply = slow.readFrame();
  await slow.sendRaw(Buffer.of(0));
  expect((await reply).command).toBe('c');
  await slow.quit();
});
