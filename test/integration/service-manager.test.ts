/** What systemd is told about a filter: sd_notify(3), at a real datagram socket. */
import { describe, expect, it } from '@jest/globals';
import { until } from '../../tools/wait.js';
import { expectThat } from '../support/expect.js';
import { ENVELOPE, FilterProcess } from '../support/filter-process.js';
import { type Notification, NotifySocket } from '../support/notify-socket.js';

/** @param variables of the environment, besides NOTIFY_SOCKET */
function start(
  socket: { readonly address: string },
  variables: NodeJS.ProcessEnv = {},
  options: Record<string, unknown> = {},
): Promise<FilterProcess> {
  const env = { ...process.env, NOTIFY_SOCKET: socket.address, ...variables };
  return FilterProcess.start('supervised', { options, fork: { env } });
}

async function sendMessage(filter: FilterProcess): Promise<void> {
  const mta = await filter.greeted();
  expect((await mta.message(ENVELOPE)).verdict).toBe('accept');
  await mta.close();
}

/** Texts without signs of life, and without status lines of their own. */
const announcements = (socket: NotifySocket): string[] =>
  socket.texts.filter((text) => !/^(?:WATCHDOG|STATUS)=/.test(text));

describe('systemd is told', () => {
  for (const abstract of [false, true]) {
    it(`when the filter serves and when it stops, at ${abstract ? 'an abstract name' : 'a path'}`, async () => {
      await using socket = await NotifySocket.open({ abstract });
      await using filter = await start(socket);
      await socket.said(/^READY=1/);
      await sendMessage(filter);
      await sendMessage(filter);
      await filter.stop();
      await socket.said(/^STOPPING=1/);
      expect(announcements(socket)).toStrictEqual([
        'READY=1\nSTATUS=serving; sessions open: 0, messages: 0',
        'STOPPING=1\nSTATUS=stopping; sessions open: 0, messages: 2',
      ]);
      expect(new Set(socket.received.map(({ pid }) => pid))).toStrictEqual(new Set([filter.pid]));
    });
  }

  it('when all workers serve; the numbers are those of all, and change while it serves', async () => {
    await using socket = await NotifySocket.open();
    await using filter = await start(socket, {}, { workers: 2 });
    await socket.said(/^READY=1\nSTATUS=serving; sessions open: 0, messages: 0, workers: 2$/);
    const open = [await filter.greeted(), await filter.greeted(), await filter.greeted()];
    for (const mta of open) await mta.message(ENVELOPE);
    await socket.said(/^STATUS=serving; sessions open: 3, messages: 3, workers: 2$/);
    for (const mta of open) await mta.close();
    await filter.stop();
    await socket.said(/^STOPPING=1\nSTATUS=stopping; sessions open: \d, messages: 3, workers: 2$/);
  });

  it('nothing by child processes: they do not inherit the variables', async () => {
    await using socket = await NotifySocket.open();
    await using filter = await start(socket, { WATCHDOG_USEC: '60000000' });
    expect(await filter.request('inherited')).toBe(',,');
    await filter.stop();
  });

  it('nothing by a filter with systemd: false, which leaves the variables to the application', async () => {
    await using socket = await NotifySocket.open();
    await using filter = await start(socket, { WATCHDOG_USEC: '1000' }, { systemd: false });
    expect(await filter.request('inherited')).toBe(`${socket.address},1000,`);
    await sendMessage(filter);
    await filter.request('fill', socket.address); // follows what the filter would have sent
    await socket.said(/^X_FILL/);
    expect(announcements(socket).filter((text) => text !== 'X_FILL=1')).toStrictEqual([]);
    await filter.stop();
  });

  it('later, and in order, if it is behind; the filter goes on meanwhile', async () => {
    await using socket = await NotifySocket.open();
    await using filter = await start(socket, { WATCHDOG_USEC: '20000' });
    await socket.said(/^READY=1/);
    socket.pause();
    expect(await filter.request<number>('fill', socket.address)).toBeGreaterThan(0);
    filter.child.kill('SIGHUP');
    await sendMessage(filter);
    const before = socket.received.length;
    socket.resume();
    const { text } = await socket.said(/^RELOADING=1\nMONOTONIC_USEC=\d+$/, before);
    await socket.said(/^READY=1\nSTATUS=serving;/, socket.texts.indexOf(text));
    await filter.stop();
  });

  for (const [address, code] of [
    ['/nowhere/notify', 'ENOENT'],
    [`/${'n'.repeat(200)}`, 'ENAMETOOLONG'],
    ['vsock:2:1234', 'ENOENT'],
  ] as const) {
    it(`nothing at ${address.slice(0, 16)}: one line in the log says so (${code}), and the filter serves`, async () => {
      await using filter = await start({ address }, { WATCHDOG_USEC: '2000' }, { logs: true });
      await sendMessage(filter);
      await filter.stop();
      const lines = filter.stderr.split('\n').filter((line) => line.includes('NOTIFY_SOCKET'));
      expectThat(lines.length, filter.stderr).toBe(1);
      expect(lines[0]).toMatch(
        new RegExp(`warn .*systemd cannot be told about the filter: NOTIFY_SOCKET: ${code}$`),
      );
    });
  }
});

describe('the watchdog', () => {
  it('is fed while the event loop runs, and not while it is blocked', async () => {
    await using socket = await NotifySocket.open();
    await using filter = await start(socket, { WATCHDOG_USEC: '40000' });
    for (let nth = 0, from = 0; nth < 5; nth++) {
      const found = await socket.said(/^WATCHDOG=1$/, from);
      from = socket.received.indexOf(found) + 1;
    }
    // The kernel keeps the order of datagrams.
    await filter.request('block', socket.address, 1_000);
    await socket.said(/^X_BLOCK=ends$/);
    const [begins, ends] = [socket.texts.indexOf('X_BLOCK=begins'), socket.texts.indexOf('X_BLOCK=ends')];
    expect(socket.texts.slice(begins + 1, ends)).toStrictEqual([]);
    await socket.said(/^WATCHDOG=1$/, ends);
    await filter.stop();
  });

  it('is fed at half the interval, and no more often', async () => {
    await using socket = await NotifySocket.open();
    const began = Number(process.hrtime.bigint() / 1_000n);
    await using filter = await start(socket, { WATCHDOG_USEC: '400000' });
    const signs = () => socket.received.filter(({ text }) => text === 'WATCHDOG=1');
    await until('three signs of life', () => signs().length >= 3);
    expect((signs()[2] as Notification).at - began).toBeGreaterThan(400_000);
    await filter.stop();
  });

  for (const [title, variables] of [
    ['another process', { WATCHDOG_USEC: '2000', WATCHDOG_PID: '1' }],
    ['nobody', { WATCHDOG_USEC: '2000', WATCHDOG_PID: '' }],
    ['no number', { WATCHDOG_USEC: '2s' }],
    ['no time', { WATCHDOG_USEC: '0' }],
  ] as const) {
    it(`is not fed if it is for ${title}`, async () => {
      await using socket = await NotifySocket.open();
      await using filter = await start(socket, variables);
      await sendMessage(filter);
      await filter.stop();
      await socket.said(/^STOPPING=1/);
      expect(socket.texts.filter((text) => text.startsWith('WATCHDOG'))).toStrictEqual([]);
    });
  }
});
