/** `tsmilter/utils`: isDynip. The expected values are pymilter's, except in the last two tables. */
import { describe, expect, it } from '@jest/globals';
import { isDynip } from '#lib/utils/index.js';
import { cpuTime } from '../support/cpu-time';
import { errorWith, expectThat } from '../support/expect';

const DYNAMIC: Record<string, string[]> = {
  '212.199.16.234': ['212.199.16.234.static.012.net.il'],
  '1.2.3.4': [
    '1.2.3.4.example.com',
    '4.3.2.1.example.com',
    '4-3-2-1.example.com',
    'host1-2-3-4.example.com',
    'host-001-002-003-004.example.com',
    '001002003004.example.com',
    'ip1234.example.com',
    'mx3-4.example.com',
  ],
  '192.168.210.117': [
    '[192.168.210.117]',
    '192.168.210.117',
    '192168210117.example.com',
    '117210168192.example.com',
    'c0a8d275.example.com',
    'ip-C0A8D275.example.com',
    'host-117.example.com',
    '117.example.com',
    'host-210-117.example.com',
    '192x168x210x117.example.com',
    '192_168_210_117.example.com',
    '168210117.example.com',
    '210117.example.com',
    'ppp-117.example.com',
    'user117.example.com',
    '117.pool.example.com',
    'host-210-168-192-117.example.com',
    '117-210.192-168.example.com',
    'host-10-20-30-40.example.com',
    '00-11-22-33-44-55.example.com',
  ],
  '82.33.44.55': ['host82-33-static.55-44-b.business.example.it', 'p52212C37.dip.example.de'],
  '65.96.93.1': ['c-65-96-93-1.hsd1.ma.example.net'],
  '2001:db8:1:2:3:4:5:6': ['[2001:db8:1:2:3:4:5:6]', '[IPv6:2001:db8:1:2:3:4:5:6]'],
};

const STATIC: Record<string, string[]> = {
  '66.179.26.146': ['mail.example.com', ''],
  '192.168.210.117': [
    'mail117.example.com',
    'p117.example.com',
    'mx1.example.com',
    'dsl.example.com',
    'adsl-12.example.com',
    '12.dsl.example.com',
    'abcdefabcdef.example.com',
    '00112233445566.example.com',
    '10.20.30.40.example.com',
    'dynamic-192.example.com',
    'unknown',
    'localhost',
  ],
  '1.2.3.4': ['x4.example.com', 'mx4.example.com'],
  '10.0.0.1': ['mail1.example.com', 'mx10.example.com'],
  '209.85.128.50': ['mail-wm1-f50.example.com', 'mail-wm1-f128.example.com'],
  '2001:db8::1': ['mail.example.com', 'host1.example.com'],
};

/** Guesses that pymilter does not make. */
const BETTER: Record<string, string[]> = {
  '192.168.210.117': ['h75d2a8c0.example.com', 'dhcp117.example.com', 'dialup117.example.com'],
  '2001:db8::1': ['2001-db8--1.example.com'],
  '2001:db8:1:2:3:4:5:6': [
    '2001-db8-1-2-3-4-5-6.example.com',
    '2001.db8.1.2.3.4.5.6.example.com',
    'dynamic-2001-0db8-0001-0002-0003-0004-0005-0006.example.com',
    '20010db8000100020003000400050006.example.com',
    '6.0.0.0.5.0.0.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.ip6.example.com',
    'host-0003000400050006.example.com',
    'host-3-4-5-6.example.com',
  ],
};

/** Names that have a number of the address by chance. */
const CHANCE: Record<string, string[]> = {
  '192.0.2.163': ['mail.163.com', 'smtp.service.163.com.'],
  '192.0.2.7': ['mx2-2.example.com'],
  '2001:db8::25': ['host-0-0-0-25.example.com'],
};

function check(table: Record<string, string[]>, expected: boolean): void {
  for (const [ip, names] of Object.entries(table)) {
    for (const name of names) {
      it(`${name || '(no name)'} of ${ip}: ${expected}`, () => expect(isDynip(name, ip)).toBe(expected));
    }
  }
}

/** @contract 32 */
describe('isDynip', () => {
  check(DYNAMIC, true);
  check(STATIC, false);
  check(BETTER, true);
  check(CHANCE, false);

  it('refuses invalid addresses', () => {
    for (const ip of ['', 'mail.example.com', '1.2.3', '01.2.3.4', null]) {
      expect(() => isDynip('mail.example.com', ip as string)).toThrow(
        errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT' }),
      );
    }
  });

  it('treats an IPv4-mapped IPv6 address as IPv4', () => {
    expect(isDynip('host-210-117.example.com', '::ffff:192.168.210.117')).toBe(true);
  });

  it('looks at no more of a name than DNS allows', async () => {
    expect(isDynip(`${'x'.repeat(300)}.192-168-210-117.example.com`, '192.168.210.117')).toBe(false);
    for (const unit of ['1', '1-', '1.', 'a1-', '-', '.', 'f']) {
      const spent = await cpuTime(() => isDynip(unit.repeat(1_000_000), '192.168.210.117'));
      expectThat(spent, unit).toBeLessThan(10_000);
    }
  });
});
