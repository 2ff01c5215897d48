/**
 * The sockets a filter listens on: their permissions from the first moment on, ports that the system chooses, and sockets that
 * were opened before.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { linkSync, lstatSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { MtaSession } from 'tsmilter/testing';
import { within } from '../../tools/wait.js';
import { attempt, endsWell, listeners, serves, starter } from '../fixtures/lifecycle/starter.js';
import { asUser } from '../support/as-user.js';
import { errorWith, expectThat } from '../support/expect.js';
import type { ObservedFilter } from './support/observed-filter.js';

const NOBODY = 65_534;
/** A user and group that own nothing. */
const STRANGER = 54_321;

const FIXTURES = join(__dirname, '../fixtures/lifecycle');

/** The next message of a fixture process. */
async function tells(
  what: string,
  fixture: string,
  args: readonly string[],
  user = { execArgv: [] as string[] },
) {
  const child = fork(join(FIXTURES, fixture), args, user);
  const [told] = (await within(what, once(child, 'message'))) as [Record<string, unknown>];
  return { child, told };
}

/** The result of connect() for a user: `connected`, or the error's code. */
async function dial(path: string, uid: number, gid: number): Promise<unknown> {
  const { child, told } = await tells(`connect() as ${uid}:${gid}`, 'dialer.js', [path], asUser(uid, gid));
  if (child.exitCode === null) await within('the end of the dialer', once(child, 'exit'));
  return told.answer;
}

/** Every owner and mode of the filter's socket while `act` runs. */
async function seenDuring(filter: ObservedFilter, act: () => Promise<unknown>): Promise<unknown> {
  const done = join(filter.directory, 'done');
  const { child } = await tells('the pathWatcher to look', 'path-watcher.js', [filter.path, done]);
  try {
    await act();
    const seen = once(child, 'message');
    writeFileSync(done, '');
    return ((await within('what the path watcher has seen', seen)) as [{ seen: unknown }])[0].seen;
  } finally {
    child.kill('SIGKILL');
  }
}

interface Permissions {
  readonly title: string;
  readonly run: Readonly<Record<string, unknown>>;
  readonly umask: number;
  readonly uid?: number;
  /** uid:gid mode, in the end. */
  readonly expected: string;
  /** What it may be before. Default: 0600 of the process's user. */
  readonly before?: readonly string[];
  readonly mayConnect: Readonly<{ nobody: boolean; group: boolean; stranger: boolean }>;
}

const all = { nobody: true, group: true, stranger: true };
const none = { nobody: false, group: false, stranger: false };

const PERMISSIONS: readonly Permissions[] = [
  // Controls: without options the umask applies.
  { title: 'no option, umask 0', run: {}, umask: 0, expected: '0:0 777', mayConnect: all },
  { title: 'no option, umask 027', run: {}, umask: 0o027, expected: '0:0 750', mayConnect: none },
  { title: 'mode 0600, umask 0', run: { mode: 0o600 }, umask: 0, expected: '0:0 600', mayConnect: none },
  { title: 'mode 0, umask 0', run: { mode: 0 }, umask: 0, expected: '0:0 0', mayConnect: none },
  {
    title: 'mode 0666 in spite of umask 077',
    run: { mode: 0o666 },
    umask: 0o077,
    expected: '0:0 666',
    mayConnect: all,
  },
  { title: 'mode 0777', run: { mode: 0o777 }, umask: 0o022, expected: '0:0 777', mayConnect: all },
  {
    title: 'an owner by name, who alone may connect, with mode 0600',
    run: { owner: 'nobody', mode: 0o600 },
    umask: 0,
    expected: '65534:0 600',
    mayConnect: { nobody: true, group: false, stranger: false },
  },
  {
    title: 'an owner by number: 0660',
    run: { owner: NOBODY },
    umask: 0,
    expected: '65534:0 660',
    before: ['65534:0 600'],
    mayConnect: { nobody: true, group: false, stranger: false },
  },
  {
    title: 'a group by name: 0660',
    run: { group: 'nogroup' },
    umask: 0,
    expected: '0:65534 660',
    before: ['0:65534 600'],
    mayConnect: { nobody: true, group: true, stranger: false },
  },
  {
    title: 'a group by number in digits',
    run: { group: '65534', mode: 0o620 },
    umask: 0,
    expected: '0:65534 620',
    before: ['0:65534 600'],
    mayConnect: { nobody: true, group: true, stranger: false },
  },
  {
    title: 'owner, group and mode',
    run: { owner: STRANGER, group: NOBODY, mode: 0o060 },
    umask: 0o777,
    expected: '54321:65534 60',
    before: [`${STRANGER}:${NOBODY} 600`],
    // The owner's bits refuse the owner, though others are allowed.
    mayConnect: { nobody: true, group: true, stranger: false },
  },
  {
    title: 'an ordinary user, with his own name and group',
    run: { owner: 'nobody', group: 'nogroup', mode: 0o660 },
    umask: 0,
    uid: NOBODY,
    expected: '65534:65534 660',
    mayConnect: { nobody: true, group: true, stranger: false },
  },
];

for (const { title, run, umask, uid, expected, before, mayConnect } of PERMISSIONS) {
  test(`${title}: ${expected}, and never wider`, async () => {
    await using filter = await starter({ umask, ...(uid === undefined ? {} : { uid }) });
    const seen = await seenDuring(filter, async () => {
      const told = await attempt(filter, { run });
      expectThat(told.listening, JSON.stringify(told)).toBe(true);
      expectThat(told.umask, 'the process has its own umask again').toBe(umask);
    });
    const { uid: owner, gid, mode } = lstatSync(filter.path);
    expect(`${owner}:${gid} ${(mode & 0o777).toString(8)}`).toBe(expected);
    const own = uid ?? 0;
    const allowed = new Set([expected, `${own}:${own} 600`, ...(before ?? [])]);
    const undressed = Object.keys(run).length === 0;
    expectThat(seen as string[], `seen: ${seen}`).toContain(expected);
    const surprises = (seen as string[]).filter((one) => (undressed ? one !== expected : !allowed.has(one)));
    expectThat(surprises, 'seen before the permissions were as asked for').toStrictEqual([]);
    const users = { nobody: [NOBODY, NOBODY], group: [STRANGER + 1, NOBODY], stranger: [STRANGER, STRANGER] };
    for (const [who, [asUid = 0, asGid = 0]] of Object.entries(users)) {
      const may = mayConnect[who as keyof typeof mayConnect];
      expectThat(await dial(filter.path, asUid, asGid), who).toBe(may ? 'connected' : 'EACCES');
    }
    await serves(await filter.open()); // root always may
    await endsWell(filter);
  });
}

for (const spelling of ['unix:', 'UNIX:', 'local:', 'Local:', ':', '']) {
  test(`a path after '${spelling}'`, async () => {
    await using filter = await starter();
    const told = await attempt(filter, { socket: `${spelling}${filter.path}`, run: { mode: 0o640 } });
    expect([told.listening, told.heard, told.port]).toStrictEqual([true, `${spelling}${filter.path}`, 0]);
    expect(lstatSync(filter.path).mode & 0o777).toBe(0o640);
    await serves(await filter.open());
    await endsWell(filter);
  });
}

for (const [socket, ...reached] of [
  ['inet:0@127.0.0.1', 'inet:PORT@127.0.0.1'],
  ['inet:0@localhost', 'inet:PORT@127.0.0.1'],
  ['INET:0@[127.0.0.1]', 'inet:PORT@127.0.0.1'],
  ['inet:0', 'inet:PORT@127.0.0.1', 'inet:PORT@127.0.0.2', 'inet:PORT'],
  ['inet6:0@::1', 'inet6:PORT@::1'],
  ['inet6:0@[::1]', 'inet6:PORT@[::1]'],
  ['inet6:0', 'inet6:PORT@::1', 'inet6:PORT'],
] as const) {
  test(`${socket}: the system chooses a port, which onListening receives`, async () => {
    await using filter = await starter({ socket });
    const { listening, heard, port, code, message } = await attempt(filter);
    expectThat(listening, `${code} ${message}`).toBe(true);
    expect(heard).toBe(socket);
    expectThat(Number.isInteger(port), `port ${port}`).toBe(true);
    expectThat(port as number, `port ${port}`).toBeGreaterThan(0);
    expect(await listeners(filter)).toStrictEqual(['tcp']);
    for (const to of reached) await serves(await MtaSession.open(to.replace('PORT', String(port))));
    if (socket.includes('@127')) {
      await expect(MtaSession.open(`inet:${port}@127.0.0.2`)).rejects.toThrow(
        errorWith({ code: 'ECONNREFUSED' }),
      );
    }
    await endsWell(filter);
  });
}

test('a given port can be used again as soon as the previous filter has ended', async () => {
  await using first = await starter({ socket: 'inet:0@127.0.0.1' });
  const { port } = await attempt(first);
  const session = await MtaSession.open(`inet:${port}@127.0.0.1`);
  await endsWell(first); // closes the session first: the port is in TIME_WAIT from here on
  await session.waitForClose();
  await using second = await starter({ socket: `inet:${port}@127.0.0.1` });
  const told = await attempt(second);
  expect([told.listening, told.port, told.message]).toStrictEqual([true, port, undefined]);
  await serves(await second.open());
  await endsWell(second);
});

/** A listening socket as systemd passes it, and a function that closes this process's copy. */
async function listening(server: Server, ...where: [number, string] | [string]): Promise<number> {
  await new Promise<void>((resolve) => server.listen(...(where as [number, string]), resolve));
  return (server as unknown as { _handle: { fd: number } })._handle.fd;
}

for (const [family, host, spec] of [
  ['IPv4', '127.0.0.1', 'inet'],
  ['IPv6', '::1', 'inet6'],
] as const) {
  test(`fd:4 that the parent has opened, ${family}`, async () => {
    const server = createServer();
    const fd = await listening(server, 0, host);
    const { port } = server.address() as { port: number };
    await using filter = await starter({ socket: 'fd:4', descriptors: [fd] });
    server.close(); // the filter has its own copy
    const told = await attempt(filter);
    expectThat([told.listening, told.heard, told.port], JSON.stringify(told)).toStrictEqual([
      true,
      'fd:4',
      port,
    ]);
    for (let time = 1; time <= 2; time++) await serves(await MtaSession.open(`${spec}:${port}@${host}`));
    await endsWell(filter);
    await expect(MtaSession.open(`${spec}:${port}@${host}`)).rejects.toThrow(
      errorWith({ code: 'ECONNREFUSED' }),
    );
  });
}

test('fd:5, a unix socket: the filter serves it, and does not remove the file', async () => {
  await using owner = await starter(); // its directory outlives the filter's
  const path = join(owner.directory, 'activated');
  const server = createServer();
  const fd = await listening(server, path);
  linkSync(path, `${path}.kept`); // closing the server removes the name it knows
  await using filter = await starter({ socket: 'fd:5', descriptors: [fd, fd] });
  server.close();
  const told = await attempt(filter);
  expectThat([told.listening, told.port], JSON.stringify(told)).toStrictEqual([true, 0]);
  await serves(await MtaSession.open(`unix:${path}.kept`));
  await endsWell(filter);
  expect(lstatSync(`${path}.kept`).isSocket()).toBe(true);
});

test('fd: of a connection instead of a listener is refused; the listener is served', async () => {
  const server = createServer();
  const fd = await listening(server, 0, '127.0.0.1');
  const { port } = server.address() as { port: number };
  await using filter = await starter({ socket: 'fd:4', descriptors: [fd] });
  server.close();
  // 3 is the IPC channel to this test.
  expect((await attempt(filter, { socket: 'fd:3' })).code).toBe('ENOTSOCK');
  expect((await attempt(filter)).listening).toBe(true);
  await serves(await MtaSession.open(`inet:${port}@127.0.0.1`));
  await endsWell(filter);
});
