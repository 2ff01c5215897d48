/** Contract 5, 6, 7: libmilter function by function, without classes. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Protocol } from 'tsmilter/testing';
import { expectThat } from '../support/expect.js';
import { ENVELOPE, FilterProcess } from '../support/filter-process.js';

describe('tsmilter/lowlevel', () => {
  let filter: FilterProcess;
  beforeAll(async () => {
    filter = await FilterProcess.start('lowlevel');
  });
  // Stopped by the last test.
  afterAll(() => filter?.[Symbol.asyncDispose]());

  it('calls in a wrong order are errors that say so', async () => {
    expect(await filter.request('early')).toStrictEqual({
      opensocket: ['ERR_MILTER_NOT_REGISTERED', 'ERR_MILTER_NOT_REGISTERED'],
      main: 'ERR_MILTER_NOT_REGISTERED',
    });
  });

  /** @contract 6 */
  it('steps without a callback are negotiated away', async () => {
    await using mta = await filter.session();
    const left = Protocol.NORCPT | Protocol.NOEOH | Protocol.NOBODY;
    const all = left | Protocol.NOCONNECT | Protocol.NOHELO | Protocol.NOMAIL | Protocol.NOHDRS;
    expect(mta.negotiated.protocol & (all | Protocol.NODATA | Protocol.NOUNKNOWN)).toBe(left);
  });

  /** @contract 5 */
  it('a session; setpriv returns the old value', async () => {
    await filter.events();
    await using mta = await filter.session({ macros: { mail: { i: 'Q7' } } });
    await mta.connect('client.example', { family: 'inet', address: '192.0.2.1', port: 25 });
    await mta.helo('client.example');
    await mta.unknown('XYZZY');
    const { verdict, modifications } = await mta.message({ ...ENVELOPE, headers: [['Subject', 'x']] });
    expect(verdict).toBe('accept');
    expect(modifications).toStrictEqual([
      { type: 'addheader', name: 'X-Low', value: 'Q7' },
      { type: 'chgheader', index: 1, name: 'X-Old', value: '' },
    ]);
    const { reply } = await mta.mail('<bad@b.example>');
    expect(reply?.text).toBe('550 5.7.1 bad');
    await mta.mail('<a@b.example>');
    await mta.abort();
    await mta.quit();
    const close = await filter.event('close');
    expect(close).toStrictEqual(['close', { second: true }]);
    expect((await filter.events()).filter(([name]) => name !== 'close')).toStrictEqual([
      ['connect', 'client.example', 2, ['192.0.2.1', 25]],
      ['setpriv', null, 'first', { second: true }],
      ['helo', 'client.example'],
      ['unknown', 'XYZZY'],
      ['envfrom', '<alice@client.example>'],
      ['data'],
      ['header', 'Subject', 'x'],
      ['envfrom', '<bad@b.example>'],
      ['envfrom', '<a@b.example>'],
      ['abort'],
    ]);
  });

  /** @contract 6 */
  it('a callback that is unset while running is negotiated away in the next session', async () => {
    expect(await filter.request('unsetHeader')).toBe('function');
    expect(await filter.request('unsetHeader')).toBe('object');
    await using mta = await filter.session();
    expect(mta.negotiated.protocol & Protocol.NOHDRS).toBe(Protocol.NOHDRS);
  });

  it('version is that of the libmilter in use', async () => {
    const version = await filter.request<number[]>('version');
    expect(version).toHaveLength(3);
    expectThat(version[0] as number, version.join('.')).toBeGreaterThanOrEqual(1);
  });

  it('setmaxdatasize returns the old limit', async () => {
    expect(await filter.request('setmaxdatasize', 65535)).toBe(65535);
  });

  it('setmaxdatasize is the limit of a change: it arrives whole, and one byte more throws', async () => {
    const LIMIT = 200_000;
    const longest = LIMIT - 'X-Long'.length - 2;
    const old = await filter.request('setmaxdatasize', LIMIT);
    await filter.request('addHeaders', [longest, longest + 1]);
    await using mta = await filter.greeted({ maxFrameSize: LIMIT });
    const { verdict, modifications } = await mta.message(ENVELOPE);
    expect(verdict).toBe('accept');
    expect(modifications.at(-1)).toStrictEqual({
      type: 'addheader',
      name: 'X-Long',
      value: 'v'.repeat(longest),
    });
    expect(await filter.eventsOf('added')).toStrictEqual([
      ['added', 'none'],
      ['added', 'ERR_MILTER_BAD_ARGUMENT'],
    ]);
    await filter.request('addHeaders', []);
    expect(await filter.request('setmaxdatasize', old)).toBe(LIMIT);
  });

  it('opensocket gives the socket its mode', () => {
    expect(statSync(join(filter.directory, 'sock')).mode & 0o777).toBe(0o600);
  });

  /** @contract 7 */
  it('a second start while one runs: ERR_MILTER_IN_USE', async () => {
    expect(await filter.request('again')).toStrictEqual({
      register: 'ERR_MILTER_IN_USE',
      opensocket: 'ERR_MILTER_IN_USE',
      main: 'ERR_MILTER_IN_USE',
    });
    // The one that runs is not disturbed.
    await using mta = await filter.greeted();
    expect((await mta.message(ENVELOPE)).verdict).toBe('accept');
  });

  /** @contract 7 */
  it('a second start after the end: ERR_MILTER_ALREADY_RUN', async () => {
    await filter.request('stop');
    const outcome = (await filter.phase('returned')) as Record<string, unknown>;
    expect(outcome).toStrictEqual({
      register: 'ERR_MILTER_ALREADY_RUN',
      opensocket: 'ERR_MILTER_ALREADY_RUN',
      main: 'ERR_MILTER_ALREADY_RUN',
      stop: 'none',
    });
    await filter.ended();
  });
});
