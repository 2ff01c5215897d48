/** Contract 2: the shape of hostaddr by family. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AF_INET, AF_INET6, AF_UNIX, AF_UNSPEC } from 'tsmilter';
import { peerOf } from '#lib/session/hostaddr.js';

describe('contract 2: peerOf', () => {
  it('IPv4: ip and port', () => {
    assert.deepEqual(peerOf(AF_INET, 25, 0, 0, '192.0.2.1'), [AF_INET, ['192.0.2.1', 25]]);
  });

  it('IPv6: ip, port, flowinfo, scopeid', () => {
    assert.deepEqual(peerOf(AF_INET6, 25, 7, 3, 'fe80::1'), [AF_INET6, ['fe80::1', 25, 7, 3]]);
  });

  it('unix: a path, which may be empty', () => {
    assert.deepEqual(peerOf(AF_UNIX, 0, 0, 0, '/run/sock'), [AF_UNIX, '/run/sock']);
    assert.deepEqual(peerOf(AF_UNIX, 0, 0, 0, ''), [AF_UNIX, '']);
  });

  it('nothing known: family 0, null; a family nobody knows likewise', () => {
    assert.deepEqual(peerOf(AF_UNSPEC, 0, 0, 0, undefined), [AF_UNSPEC, null]);
    assert.deepEqual(peerOf(99, 1, 2, 3, 'x'), [AF_UNSPEC, null]);
  });
});
