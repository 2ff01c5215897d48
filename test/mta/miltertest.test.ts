// Debian's miltertest, an independent implementation of the milter protocol, runs the sample filter with the script sample.lua.
import { execFile } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { afterAll, beforeAll, describe, test } from '@jest/globals';
import { freePort } from '../../tools/free-ports';
import { makeRunDir } from '../../tools/mta/run-dir';
import { projectRoot } from '../../tools/project-root';
import { TIMEOUT } from '../../tools/wait';
import { expectThat } from '../support/expect';
import { Program } from './support/program';

/** What the script names when it went well. */
const cases = [
  'negotiation',
  'a clean message is accepted as it is',
  'refused: Subject: FREE money',
  'refused: Subject: Buy vIaGrA',
  'refused: Subject: =?utf-8?Q?ADV=3A_something?=',
  'refused: Subject: =?big5?B?pKSk5Q==?=',
  'refused: Message-ID: <>',
  'refused: X-Mailer: Direct Email',
  'a session goes on after a refusal',
  'discarded: mail to <MAILER-DAEMON@example.com>',
  'discarded: mail to mailer-daemon',
  'a dangerous attachment is replaced',
  'a message that is a dangerous file is replaced',
  'an aborted message, and a connection that breaks',
];

interface End {
  readonly code: unknown;
  readonly output: string;
}

/** Runs the script against a filter's socket. */
function miltertest(socket: string): Promise<End> {
  const script = path.join(projectRoot, 'test/mta/sample.lua');
  // a sanitizer that is preloaded into the filter is none of miltertest's business
  const { LD_PRELOAD: _, ...env } = process.env;
  return new Promise((resolve) => {
    execFile(
      'miltertest',
      ['-D', `socket=${socket}`, '-s', script],
      { env, timeout: 2 * TIMEOUT },
      (error, stdout, stderr) =>
        resolve({ code: error ? (error.code ?? error.signal) : 0, output: stdout + stderr }),
    );
  });
}

describe('miltertest', () => {
  const dir = makeRunDir('miltertest');
  beforeAll(() => {
    fs.mkdirSync(path.join(dir, 'sockets'));
  });
  afterAll(() => fs.rmSync(dir, { recursive: true, force: true }));

  // miltertest knows no IPv6
  const sockets: readonly (readonly [kind: string, socket: () => Promise<string>])[] = [
    ['unix', async () => `unix:${path.join(dir, 'sockets/sample')}`],
    ['inet', async () => `inet:${await freePort()}@127.0.0.1`],
  ];
  for (const [kind, socketOf] of sockets) {
    test(`passes with the sample filter: ${kind}`, async () => {
      const socket = await socketOf();
      const script = path.join(projectRoot, '.build/examples/sample.js');
      await using sample = await Program.start(
        script,
        [socket],
        /^sample: listening on /m,
        path.join(dir, kind),
      );
      const { code, output } = await miltertest(socket);
      expectThat(code, output).toBe(0);
      const named = output.split('\n').flatMap((line) => /^ok: (.*)$/.exec(line)?.[1] ?? []);
      expectThat(named, output).toStrictEqual(cases);
      await sample.wrote(/user alice sends mail from <alice@client\.example> SIZE=100/);
      await sample.stop();
    });
  }

  test('control: it fails if no filter runs', async () => {
    const { code, output } = await miltertest(`unix:${dir}/nowhere`);
    expectThat(code, output).not.toBe(0);
  });
});
