/** The spelling of sockets that runmilter takes. */
import { describe, expect, it } from '@jest/globals';
import { checkSocketSpec } from '#lib/runtime/socket-spec.js';
import { errorWith } from '../support/expect';

const GOOD = [
  'unix:/run/f/sock',
  'local:/run/f/sock',
  'UNIX:/run/f/sock',
  '/run/f/sock',
  'sock',
  ':/run/sock',
  'unix:/with:colon@sign',
  'inet:8890',
  'inet:8890@localhost',
  'inet:8890@127.0.0.1',
  'inet:0@127.0.0.1',
  'inet:65535',
  'inet:smtp@localhost',
  'Inet:8890',
  'inet6:8890@::1',
  'inet6:8890@[::1]',
  'inet6:8890',
  'fd:3',
  'fd:web',
  'fd:nolottery.socket',
];
const BAD = [
  'tcp:8890',
  'unix:',
  'local:',
  ':',
  'inet:',
  'inet:65536',
  'inet:99999@localhost',
  'inet:-1',
  'inet:8890@',
  'inet:@localhost',
  'inet:8890@a@b',
  'inet:80 90',
  'inet:8890x@localhost',
  'inet6:@::1',
  'fd:',
  'fd:-1',
  'fd:3x',
  'fd:a:b',
  'fd:a b',
  'fd:\u00e9',
  'http://localhost',
];

describe('checkSocketSpec', () => {
  it.each([
    ['inet:127.0.0.1:8890', 'inet:8890@127.0.0.1'],
    ['inet:localhost:25', 'inet:25@localhost'],
    ['inet:[::1]:8890', 'inet6:8890@::1'],
  ])('knows %s, which is for Postfix, as %s', (spec, meant) => {
    const message = `${JSON.stringify(spec)} is how Postfix spells a socket; libmilter has the port first: write ${meant}`;
    expect(() => checkSocketSpec(spec)).toThrow(errorWith({ code: 'ERR_MILTER_BAD_SOCKET', message }));
    checkSocketSpec(meant);
  });

  for (const spec of GOOD) it(`takes ${spec}`, () => checkSocketSpec(spec));

  for (const spec of BAD) {
    it(`refuses ${spec}, and shows it`, () => {
      const check = () => checkSocketSpec(spec);
      expect(check).toThrow(
        errorWith({ code: 'ERR_MILTER_BAD_SOCKET', message: /unix:\/path, inet:port@host/ }),
      );
      expect(check).toThrow(JSON.stringify(spec));
    });
  }

  it('rejects a value that is not a string, is empty, or contains a NUL', () => {
    for (const spec of ['', 'unix:/a\0b', undefined, null, 8890, {}]) {
      expect(() => checkSocketSpec(spec)).toThrow(errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT' }));
    }
  });
});
