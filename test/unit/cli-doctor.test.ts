/** What `tsmilter doctor` reads in configurations of Sendmail, Postfix and systemd. */
import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readPostfixConfiguration } from '#lib/cli/doctor/postfix.js';
import { readMilters } from '#lib/cli/doctor/postfix-files.js';
import { fromLibmilter, fromPostfix, isSame, spellings } from '#lib/cli/doctor/route.js';
import { readSendmailConfiguration } from '#lib/cli/doctor/sendmail.js';
import { checkUnits } from '#lib/cli/doctor/systemd.js';
import { checkTimeouts } from '#lib/cli/doctor/timeouts.js';
import type { Finding } from '#lib/cli/finding.js';
import { privateDirectory, removeDirectory } from '../../tools/private-directory.js';

const TIMES = { handlerTimeout: 300_000, progressInterval: 5_000 };
const brief = (findings: readonly Finding[]) => findings.map(({ level, code }) => `${level} ${code}`);

let directory: string;
beforeAll(() => {
  directory = privateDirectory('doctor');
});
afterAll(() => removeDirectory(directory));

describe('spellings of a socket', () => {
  it.each([
    ['unix:/run/f/sock', 'local:/run/f/sock', 'unix:/run/f/sock'],
    ['inet:8890@127.0.0.1', 'inet:8890@127.0.0.1', 'inet:127.0.0.1:8890'],
    ['inet6:8890@::1', 'inet6:8890@::1', 'inet:[::1]:8890'],
  ])('%s is %s for Sendmail and %s for Postfix', (libmilter, sendmail, postfix) => {
    const target = fromLibmilter(libmilter);
    expect(target && spellings(target)).toStrictEqual({ libmilter, sendmail, postfix });
    expect(fromLibmilter(sendmail)).toStrictEqual(target);
    expect(fromPostfix(postfix)).toStrictEqual(target);
  });

  it.each(['inet:127.0.0.1:8890', 'tcp:1', '', 'unix:relative'])('%j is not libmilter`s', (text) => {
    expect(fromLibmilter(text)).toBeNull();
  });
  it.each(['inet:8890@127.0.0.1', 'inet:8890', '/run/sock', ''])('%j is not Postfix`s', (text) => {
    expect(fromPostfix(text)).toBeNull();
  });

  it('loopback names are one host', () => {
    const [one, other] = [fromPostfix('inet:localhost:1'), fromLibmilter('inet:1@127.0.0.1')];
    expect(one && other && isSame(one, other)).toBe(true);
    expect(one && isSame(one, { kind: 'inet', host: '192.0.2.1', port: '1' })).toBe(false);
  });
});

describe('a sendmail.cf', () => {
  const read = (text: string) => readSendmailConfiguration('/nowhere/sendmail.cf', text);

  it('with a filter as it should be', () => {
    const { routes, findings } = read(
      'O InputMailFilters=other,f\n# Xold, S=bad\nXf, S=local:/run/f/sock,\n\tF=T, T=C:5m;S:10s;R:1m30s;E:1h\n',
    );
    expect(brief(findings)).toStrictEqual(['ok default-action']);
    expect(routes).toMatchObject([
      {
        mta: 'Sendmail',
        where: '/nowhere/sendmail.cf:3',
        user: 'root',
        target: { kind: 'unix', path: '/run/f/sock' },
        timeouts: { command: 90_000, content: 3_600_000 },
        refusesWritableDirectories: true,
      },
    ]);
  });

  it.each([
    ['O InputMailFilters=f\nXf, S=local:/s', ['warning default-action']],
    ['Xf, S=local:/s, F=R', ['error sendmail-unused', 'ok default-action']],
    ['O DaemonPortOptions=Name=MTA, InputMailFilters=g;f\nXf, S=local:/s, F=T', ['ok default-action']],
    ['O InputMailFilters=f\nXf, S=inet:127.0.0.1:88, F=T', ['error sendmail-socket', 'ok default-action']],
    ['O InputMailFilters=f\nXf, F=T', ['error sendmail-socket', 'ok default-action']],
    ['O QueueDirectory=/var\n', ['note sendmail-no-filter']],
  ])('%j', (text, expected) => {
    expect(brief(read(text).findings)).toStrictEqual(expected);
  });

  it('names the right spelling, and trusts what DontBlameSendmail says', () => {
    const { findings } = read('O InputMailFilters=f\nXf, S=inet:127.0.0.1:88, F=T');
    expect(findings[0]).toMatchObject({
      message: '"inet:127.0.0.1:88" is not how Sendmail spells a socket, but how Postfix does',
      cure: 'write S=inet:88@127.0.0.1',
    });
    const { routes } = read(
      'O DontBlameSendmail=GroupWritableDirPathSafe\nO InputMailFilters=f\nXf, S=/s, F=T',
    );
    expect(routes[0]?.refusesWritableDirectories).toBe(false);
  });

  it('that is older than its sendmail.mc', () => {
    const [mc, cf] = [join(directory, 'sendmail.mc'), join(directory, 'sendmail.cf')];
    writeFileSync(cf, '');
    writeFileSync(mc, '');
    utimesSync(cf, 1_000, 1_000);
    expect(brief(readSendmailConfiguration(cf, '').findings)).toContain('warning sendmail-stale');
    utimesSync(cf, 2e9, 2e9);
    expect(brief(readSendmailConfiguration(cf, '').findings)).not.toContain('warning sendmail-stale');
  });
});

describe('a main.cf', () => {
  const SMTPD = 'smtp inet n - n - - smtpd\n';
  const read = (main: string, master = SMTPD) => readPostfixConfiguration('/p/main.cf', main, master);

  it('with parameters that refer to others, and continued lines', () => {
    const { routes, findings } = read(
      'a = unix:/run/a/sock\n  # a comment in it\nsmtpd_milters = $a\n   $(b)\nb = inet:localhost:1\nmail_owner = pf\n' +
        'milter_command_timeout = 1m\n',
    );
    expect(routes.map(({ target }) => spellings(target).postfix)).toStrictEqual([
      'unix:/run/a/sock',
      'inet:localhost:1',
    ]);
    expect(routes[0]).toMatchObject({
      user: 'pf',
      chroot: null,
      timeouts: { command: 60_000, content: 300_000 },
    });
    expect(brief(findings)).toStrictEqual(['ok default-action']);
  });

  it.each([
    ['y', '', '/q', '/q/run/s'],
    ['n', '', null, '/run/s'],
    ['-', '', '/q', '/q/run/s'],
    ['-', 'compatibility_level = 3.6\n', null, '/run/s'],
  ])('the fifth column %j of master.cf with %j: chroot %j', (column, level, chroot, path) => {
    const main = `${level}queue_directory = /q\nsmtpd_milters = unix:/run/s\n`;
    const [route] = read(main, `smtp inet n - ${column} - - smtpd\n`).routes;
    expect(route).toMatchObject({ chroot, target: { path } });
  });

  it('a relative path is below the queue directory', () => {
    expect(read('queue_directory = /q\nsmtpd_milters = unix:f/s\n').routes).toMatchObject([
      { target: { path: '/q/f/s' } },
    ]);
  });

  it('what master.cf sets for a service takes precedence; non_smtpd_milters belong to cleanup', () => {
    const master =
      'smtp inet n - n - - smtpd\n  -o smtpd_milters=\n587 inet n - n - - smtpd\n  -o { smtpd_milters = unix:/run/own }\n' +
      'cleanup unix n - n - 0 cleanup\n';
    const { routes } = read('smtpd_milters = unix:/run/all\nnon_smtpd_milters = unix:/run/local\n', master);
    expect(routes.map(({ where, target }) => [where, target])).toStrictEqual([
      ['/p/master.cf: 587/inet smtpd_milters', { kind: 'unix', path: '/run/own' }],
      ['/p/main.cf: non_smtpd_milters', { kind: 'unix', path: '/run/local' }],
    ]);
  });

  it.each([
    ['smtpd_milters = unix:/s\nmilter_default_action = accept', ['warning default-action']],
    ['smtpd_milters = unix:/s\nmilter_default_action = shutdown', ['ok default-action']],
    ['smtpd_milters = unix:/s\nmilter_default_action = quarantine', ['note default-action']],
    ['smtpd_milters = unix:/s\nmilter_default_action = pass', ['error default-action']],
    [
      'smtpd_milters = { unix:/s, default_action = accept, command_timeout = 5s }',
      ['warning default-action'],
    ],
    ['smtpd_milters = inet:8890@localhost', ['ok default-action', 'error postfix-socket']],
    ['myhostname = x', ['note postfix-no-filter']],
  ])('%j', (main, expected) => {
    expect(brief(read(`${main}\n`).findings)).toStrictEqual(expected);
  });

  it('settings in braces', () => {
    const list = 'unix:/a, { inet:h:1, default_action=accept, connect_timeout = 5s },unix:/b';
    expect(readMilters(list).map(({ socket, settings }) => [socket, ...settings.values()])).toStrictEqual([
      ['unix:/a'],
      ['inet:h:1', 'accept', '5s'],
      ['unix:/b'],
    ]);
  });

  it('parameters that refer to themselves, or multiply, end', () => {
    const many = Array.from({ length: 40 }, (_, n) => `a${n} = $a${n + 1}$a${n + 1}\n`).join('');
    expect(brief(read(`smtpd_milters = $smtpd_milters\n${many}`).findings)).toBeDefined();
    expect(read(`smtpd_milters = $a0\n${many}a40 = x\n`).routes).toStrictEqual([]);
  });
});

describe('timeouts', () => {
  const [sendmail] = readSendmailConfiguration(
    '/s.cf',
    'O InputMailFilters=f\nXf, S=/s, F=T, T=R:1m;E:10m',
  ).routes;
  const [postfix] = readPostfixConfiguration(
    '/main.cf',
    'smtpd_milters = unix:/s\n',
    'smtp inet n - n - - smtpd\n',
  ).routes;
  const levels = (route: typeof sendmail, times: Partial<typeof TIMES>) =>
    route ? brief(checkTimeouts(route, { ...TIMES, ...times })) : [];
  const [OK, WARNING] = ['ok timeouts', 'warning timeouts'];

  it('Sendmail: R limits an answer and the time between progress messages, E the whole end', () => {
    expect(levels(sendmail, { handlerTimeout: 50_000 })).toStrictEqual([OK]);
    expect(levels(sendmail, { handlerTimeout: 61_000 })).toStrictEqual([WARNING]);
    expect(levels(sendmail, { handlerTimeout: 50_000, progressInterval: 60_000 })).toStrictEqual([WARNING]);
    expect(levels(sendmail, { handlerTimeout: 601_000 })).toStrictEqual([WARNING, WARNING]);
    expect(levels(sendmail, { handlerTimeout: 0, progressInterval: 0 })).toStrictEqual([
      WARNING,
      WARNING,
      WARNING,
    ]);
  });

  it('Postfix: each progress message restarts milter_content_timeout', () => {
    expect(levels(postfix, { handlerTimeout: 30_000 })).toStrictEqual([OK]);
    expect(levels(postfix, { handlerTimeout: 31_000 })).toStrictEqual([WARNING]);
    expect(levels(postfix, { handlerTimeout: 30_000, progressInterval: 60_000 })).toStrictEqual([OK]);
    expect(levels(postfix, { handlerTimeout: 30_000, progressInterval: 300_000 })).toStrictEqual([WARNING]);
  });
});

describe('a systemd unit', () => {
  const SOCKET = '/run/f/sock';
  const check = (text: string, socket = SOCKET) => {
    const units = join(directory, 'units');
    mkdirSync(units, { recursive: true });
    writeFileSync(
      join(units, 'f.service'),
      `[Service]\nExecStart=/usr/bin/node f.js unix:${socket}\nUser=f\n${text}`,
    );
    writeFileSync(join(units, 'other.service'), '[Service]\nExecStart=/bin/other\n');
    return checkUnits([], units, [socket]).map(({ level, message }) => `${level} ${message}`);
  };

  it('as it should be', () => {
    const unit =
      'Restart=on-failure\nProtectSystem=strict\nRuntimeDirectory=f\nRuntimeDirectoryMode=0750\nPrivateTmp=yes\n';
    expect(check(unit)).toStrictEqual([expect.stringMatching(/^ok/)]);
  });

  it.each([
    ['', /^warning .*no Restart=/],
    ['Restart=always\nMemoryDenyWriteExecute=yes\n', /^error MemoryDenyWriteExecute=/],
    ['Restart=always\nProtectSystem=strict\n', /^error ProtectSystem=strict makes \/run\/f read-only/],
    [
      'Restart=always\nProtectSystem=strict\nReadWritePaths=/run/f\nReadWritePaths=\n',
      /^error ProtectSystem/,
    ],
    ['Restart=always\nRuntimeDirectory=f\nRuntimeDirectoryMode=0700\n', /^error RuntimeDirectoryMode=0700/],
    ['Restart=always\nUser=\n', /^note the filter runs as root/],
  ])('%j', (text, message) => {
    expect(check(text)).toStrictEqual([expect.stringMatching(message)]);
  });

  it('with a private /tmp that has the socket', () => {
    expect(check('Restart=always\nPrivateTmp=true\n', '/tmp/f.sock')).toStrictEqual([
      expect.stringMatching(/^error PrivateTmp= hides \/tmp\/f\.sock/),
    ]);
  });

  it('without any, and without systemd', () => {
    expect(checkUnits([], '/nowhere', [SOCKET])).toStrictEqual([]);
  });
});
