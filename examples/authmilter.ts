/**
 * Mail authentication for Sendmail and Postfix in one process: verifies SPF, DKIM, DMARC and ARC, signs outgoing mail, and
 * rewrites the senders of forwarded mail.
 *
 *     node authmilter.js [/etc/mail/authmilter.cfg]
 *     node authmilter.js --send-reports [/etc/mail/authmilter.cfg]
 *
 * docs/authmilter.md explains the configuration; examples/authmilter has files to start from, and the filter in the order of a
 * message: task, incoming, outgoing, decision, filter. The filter logs to stdout, reads its files again when they change or
 * on SIGHUP, and stops on SIGTERM and SIGINT.
 */
import { resolve } from 'node:path';
import { setEnvironmentData } from 'node:worker_threads';
import * as Milter from 'tsmilter';
import { type Config, readConfig } from './authmilter/config';
import { AuthFilter } from './authmilter/filter';
import { LiveSettings } from './authmilter/live-settings';
import { Reports, sendDueReports } from './authmilter/reports';
import { ENVIRONMENT } from './authmilter/worker';
import { readCommandLine } from './shared/command-line';
import { Log } from './shared/log';
import { prepareMilter } from './shared/milter-options';
import { runProgram } from './shared/program';

const CONFIGURATION = '/etc/mail/authmilter.cfg';
const USAGE = `usage: authmilter.js [--send-reports] [FILE]
  FILE            the configuration, ${CONFIGURATION} by default
  --send-reports  sends the DMARC reports that are due, and ends`;

/** What the filter may do to a message: add and remove fields, rewrite the envelope, quarantine. */
const RIGHTS =
  Milter.ADDHDRS | Milter.CHGHDRS | Milter.CHGFROM | Milter.ADDRCPT | Milter.DELRCPT | Milter.QUARANTINE;

async function main(): Promise<void> {
  const { values, positionals } = readCommandLine(USAGE, { 'send-reports': { type: 'boolean' } });
  const [file = CONFIGURATION] = positionals;
  await (values['send-reports'] ? sendAll(file) : serve(file));
}

/** Sends the reports that are due; some of them may be kept for the next time. */
async function sendAll(file: string): Promise<void> {
  const config = await readConfig(file);
  if (!(await sendDueReports(config, new Log(config.milter.name)))) process.exitCode = 1;
}

async function serve(file: string): Promise<void> {
  const live = await LiveSettings.open(file);
  const { milter } = live.current;
  const log = new Log(milter.name);
  live.reportTo(log);

  prepareMilter(milter, RIGHTS, log);
  const reports = new Reports(live.current.reports, log); // also where workers open their own: a mistake ends the start
  await Milter.runmilter(milter.name, milter.socketname, {
    ...sessionsOf(milter, file, live, log, reports),
    timeout: 600,
    reload: () => live.reload('SIGHUP'),
    onListening: () => log.write('listening on', milter.socketname),
  });
  await live.close();
  await reports.close();
  log.write('stopped');
}

/** Where sessions are served: in this thread, or in workers. */
function sessionsOf(
  { workers, name }: Config['milter'],
  file: string,
  live: LiveSettings,
  log: Log,
  reports: Reports,
) {
  if (workers === 0) {
    const shared = { live: Promise.resolve(live), log, reports: Promise.resolve(reports) };
    return { factory: () => new AuthFilter(shared) };
  }
  setEnvironmentData(ENVIRONMENT, { file: resolve(file), name } as never);
  return { module: require.resolve('./authmilter/worker'), workers };
}

runProgram('authmilter', main);
