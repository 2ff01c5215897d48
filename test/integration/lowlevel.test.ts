/** Contract 5, 6, 7: libmilter function by function, without classes. */
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Protocol } from 'tsmilter/testing';
import { ENVELOPE, FilterProcess } from '../support/filter-process.js';

describe('tsmilter/lowlevel', () => {
  let filter: FilterProcess;
  before(async () => {
    filter = await FilterProcess.start('lowlevel');
  });
  // Stopped by the last test.
  after(() => filter?.[Symbol.asyncDispose]());

  it('calls in a wrong order are errors that say so', async () => {
    assert.deepEqual(await filter.request('early'), {
      opensocket: ['ERR_MILTER_NOT_REGISTERED', 'ERR_MILTER_NOT_REGISTERED'],
      main: 'ERR_MILTER_NOT_REGISTERED',
    });
  });

  it('contract 6: what has no callback is left out of the protocol', async () => {
    await using mta = await filter.session();
    const left = Protocol.NORCPT | Protocol.NOEOH | Protocol.NOBODY;
    const all = left | Protocol.NOCONNECT | Protocol.NOHELO | Protocol.NOMAIL | Protocol.NOHDRS;
    assert.equal(mta.negotiated.protocol & (all | Protocol.NODATA | Protocol.NOUNKNOWN), left);
  });

  it('contract 5: a session; setpriv returns the old value', async () => {
    await filter.events();
    await using mta = await filter.session({ macros: { mail: { i: 'Q7' } } });
    await mta.connect('client.example', { family: 'inet', address: '192.0.2.1', port: 25 });
    await mta.helo('client.example');
    await mta.unknown('XYZZY');
    const { verdict, modifications } = await mta.message({ ...ENVELOPE, headers: [['Subject', 'x']] });
    assert.equal(verdict, 'accept');
    assert.deepEqual(modifications, [
      { type: 'addheader', name: 'X-Low', value: 'Q7' },
      { type: 'chgheader', index: 1, name: 'X-Old', value: '' },
    ]);
    const { reply } = await mta.mail('<bad@b.example>');
    assert.equal(reply?.text, '550 5.7.1 bad');
    await mta.mail('<a@b.example>');
    await mta.abort();
    await mta.quit();
    const close = await filter.event('close');
    assert.deepEqual(close, ['close', { second: true }]);
    assert.deepEqual(
      (await filter.events()).filter(([name]) => name !== 'close'),
      [
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
      ],
    );
  });

  it('contract 6: a callback that is unset while running is not wanted by the next session', async () => {
    assert.equal(await filter.request('unsetHeader'), 'function');
    assert.equal(await filter.request('unsetHeader'), 'object');
    await using mta = await filter.session();
    assert.equal(mta.negotiated.protocol & Protocol.NOHDRS, Protocol.NOHDRS);
  });

  it('version: that of the libmilter in use', async () => {
    const version = await filter.request<number[]>('version');
    assert.equal(version.length, 3);
    assert.ok((version[0] as number) >= 1, version.join('.'));
  });

  it('setmaxdatasize returns the old limit', async () => {
    assert.equal(await filter.request('setmaxdatasize', 65535), 65535);
  });

  it('opensocket gives the socket its mode', () => {
    assert.equal(statSync(join(filter.directory, 'sock')).mode & 0o777, 0o600);
  });

  it('contract 7: a second start while one runs: milter module in use', async () => {
    assert.deepEqual(await filter.request('again'), {
      register: 'ERR_MILTER_IN_USE',
      opensocket: 'ERR_MILTER_IN_USE',
      main: 'ERR_MILTER_IN_USE',
    });
    // The one that runs is not disturbed.
    await using mta = await filter.greeted();
    assert.equal((await mta.message(ENVELOPE)).verdict, 'accept');
  });

  it('contract 7: a second start after it has ended: a code that says it cannot be', async () => {
    await filter.request('stop');
    const outcome = (await filter.phase('returned')) as Record<string, unknown>;
    assert.deepEqual(outcome, {
      register: 'ERR_MILTER_ALREADY_RUN',
      opensocket: 'ERR_MILTER_ALREADY_RUN',
      main: 'ERR_MILTER_ALREADY_RUN',
      stop: 'none',
    });
    await filter.ended();
  });
});
