/** Contract 2: the shape of hostaddr by family. */
import { describe, expect, it } from '@jest/globals';
import { AF_INET, AF_INET6, AF_UNIX, AF_UNSPEC } from 'tsmilter';
import { peerOf } from '#lib/session/hostaddr.js';

/** @contract 2 */
describe('peerOf', () => {
  it('IPv4: ip and port', () => {
    expect(peerOf(AF_INET, 25, 0, 0, '192.0.2.1')).toStrictEqual([AF_INET, ['192.0.2.1', 25]]);
  });

  it('IPv6: ip, port, flowinfo, scopeid', () => {
    expect(peerOf(AF_INET6, 25, 7, 3, 'fe80::1')).toStrictEqual([AF_INET6, ['fe80::1', 25, 7, 3]]);
  });

  it('unix: a path, which may be empty', () => {
    expect(peerOf(AF_UNIX, 0, 0, 0, '/run/sock')).toStrictEqual([AF_UNIX, '/run/sock']);
    expect(peerOf(AF_UNIX, 0, 0, 0, '')).toStrictEqual([AF_UNIX, '']);
  });

  it('an unknown address or family is family 0 and null', () => {
    expect(peerOf(AF_UNSPEC, 0, 0, 0, undefined)).toStrictEqual([AF_UNSPEC, null]);
    expect(peerOf(99, 1, 2, 3, 'x')).toStrictEqual([AF_UNSPEC, null]);
  });
});
