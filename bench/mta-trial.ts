/**
 * One trial through an MTA: a fresh filter, a fresh MTA, and Postfix's smtp-source as its client.
 *
 * The MTA accepts the messages and keeps them, because delivery would take most of the time. Postfix holds them; Sendmail
 * queues them and does not wait for the disk.
 */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '../tools/free-ports';
import { type Mta, startPostfix, startSendmail } from '../tools/mta';
import { installation } from '../tools/mta/installation';
import type { Contender } from './contenders';
import { Filter } from './filter';
import { cpuSeconds } from './proc';
import type { MtaRow } from './rows';
import { type Trial, warmUpOf } from './trial';

const run = promisify(execFile);

/** Milliseconds after which smtp-source is taken to hang. */
const LOAD_TIMEOUT = 180_000;

const MTAS = {
  postfix: {
    start: startPostfix,
    extraConfig: 'smtpd_data_restrictions = check_client_access static:HOLD',
    /** The files of kept messages that show what the filter added. */
    kept: (mta: Mta) => filesOf(join(mta.queueDir, 'hold'), ''),
  },
  sendmail: {
    start: startSendmail,
    // The tests' configuration logs every step, which a production MTA does not.
    extraConfig: [
      "define(`confDELIVERY_MODE', `queue')dnl",
      "define(`confSAFE_QUEUE', `False')dnl",
      "define(`confLOG_LEVEL', `9')dnl",
      "define(`confMILTER_LOG_LEVEL', `9')dnl",
    ].join('\n'),
    kept: (mta: Mta) => filesOf(mta.queueDir, 'qf'),
  },
} as const;

function filesOf(folder: string, prefix: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.startsWith(prefix))
    .map((name) => join(folder, name));
}

/** The messages that a row sends. */
export function messagesThrough(row: MtaRow, quick: boolean): number {
  return quick ? row.load.quick : row.load.messages;
}

/** Measures an MTA with a contender once. @throws if one of them fails, or a message is missing afterwards */
export async function measureThrough(row: MtaRow, contender: Contender, quick: boolean): Promise<Trial> {
  await using filter = contender.peer === 'none' ? null : await Filter.start(contender, {});
  filter?.open();
  const { start, extraConfig, kept } = MTAS[row.mta];
  await using mta = await start({
    // Nobody listens there: nothing is delivered.
    sinkPort: await freePort(),
    filters: filter ? { unix: filter.socket } : {},
    extraConfig,
  });
  const messages = messagesThrough(row, quick);
  const before = warmUpOf(messages);
  await send(mta, row, before);
  const cpuBefore = filter ? cpuSeconds(filter.pid) : 0;
  const seconds = await send(mta, row, messages);
  filter?.check();
  checkKept(kept(mta), before + messages, filter !== null, contender.name);
  return {
    ...(filter ? { libmilter: filter.libmilter.join() } : {}),
    figures: {
      perSecond: messages / seconds,
      ...(filter
        ? {
            cpuPer1000: ((cpuSeconds(filter.pid) - cpuBefore) / messages) * 1000,
            startup: filter.startup,
          }
        : {}),
    },
  };
}

/** @returns seconds */
async function send(mta: Mta, row: MtaRow, messages: number): Promise<number> {
  const { root, libraryPath } = installation();
  const { host, port } = mta.endpoints.unix;
  const args = [
    // Sessions, and messages in total; -d keeps a session for further messages.
    ...['-s', String(row.load.sessions), '-m', String(messages), '-d'],
    ...['-l', String(row.load.body), '-f', 'sender@src.test', '-t', 'rcpt@dest.test', `${host}:${port}`],
  ];
  const begin = performance.now();
  await run(join(root, 'usr/sbin/smtp-source'), args, {
    env: { LD_LIBRARY_PATH: libraryPath, MAIL_CONFIG: join(mta.dir, 'etc') },
    timeout: LOAD_TIMEOUT,
    killSignal: 'SIGKILL',
  });
  return (performance.now() - begin) / 1000;
}

/** Every message must be there, and the last must have the filter's header. */
function checkKept(files: readonly string[], messages: number, filtered: boolean, name: string): void {
  const last = files.at(-1);
  if (files.length !== messages || last === undefined) {
    throw new Error(`${name}: ${files.length} messages of ${messages} in the MTA's queue`);
  }
  if (/X-Bench/.test(readFileSync(last, 'latin1')) !== filtered) {
    throw new Error(`${name}: the queue's messages ${filtered ? 'lack' : 'have'} the filter's header`);
  }
}
