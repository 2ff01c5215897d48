// `tsmilter doctor` on the configurations of running MTAs, with their filter there and away.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import type { Finding } from '#lib/cli/finding.js';
import { type Mta, Sink, startPostfix, startSendmail } from '../../tools/mta';
import { tsmilter } from '../support/cli';
import { FilterProcess } from '../support/filter-process';

const CONFIGURATIONS = {
  sendmail: (mta: Mta) => ['--sendmail-cf', join(mta.dir, 'sendmail.cf'), '--main-cf', '/nowhere'],
  postfix: (mta: Mta) => ['--sendmail-cf', '/nowhere', '--main-cf', join(mta.dir, 'etc/main.cf')],
};

async function levels(mta: Mta, ...args: string[]): Promise<string[]> {
  const files = CONFIGURATIONS[mta.name](mta);
  const { stdout } = await tsmilter(['doctor', ...files, '--units', '/nowhere', '--json', ...args]);
  return (JSON.parse(stdout).findings as Finding[]).map(({ level, code }) => `${level} ${code}`);
}

test.each([
  ['sendmail', startSendmail],
  ['postfix', startPostfix],
] as const)('%s', async (_, start) => {
  const sink = await Sink.start();
  const filter = await FilterProcess.start('scripted', { options: { mode: 0o666 } });
  const mta = await start({
    sinkPort: sink.port,
    filters: { unix: filter.socket },
    whenFilterFails: 'accept',
  });
  try {
    const found = await levels(mta, '--handler-timeout', '15s');
    expect(found).toEqual(expect.arrayContaining(['warning default-action', 'ok timeouts', 'ok listening']));
    expect(await levels(mta, '--handler-timeout', '5m')).toContain('warning timeouts');
    await filter.stop();
    rmSync(filter.socket.replace('unix:', ''), { force: true });
    expect(await levels(mta)).toContain('error listening');
  } finally {
    await mta.stop();
    await sink.stop();
    await filter[Symbol.asyncDispose]();
  }
});
