/**
 * SPF for Sendmail and Postfix, modelled on pymilter's spfmilter: rejects mail from servers that a domain's SPF record does not
 * allow, and records the result in a header.
 *
 *     node spfmilter.js [/etc/mail/spfmilter.cfg]
 *
 * docs/spfmilter.md explains the configuration; examples/spfmilter has files to start from. The filter logs to stdout, and stops
 * on SIGTERM and SIGINT.
 */
import * as Milter from 'tsmilter';
import { AccessMap } from 'tsmilter/policy';
import { readCommandLine } from './shared/command-line';
import { Log } from './shared/log';
import { prepareMilter } from './shared/milter-options';
import { runProgram } from './shared/program';
import { readConfig } from './spfmilter/config';
import { SpfFilter } from './spfmilter/filter';
import { Policies } from './spfmilter/policy';

const CONFIGURATION = '/etc/mail/spfmilter.cfg';
const USAGE = `usage: spfmilter.js [FILE]    (FILE: the configuration, ${CONFIGURATION} by default)`;

async function main(): Promise<void> {
  const [file = CONFIGURATION] = readCommandLine(USAGE, {}).positionals;
  const config = await readConfig(file);
  const { milter } = config;
  const log = new Log(milter.name);
  using access = await openAccess(config.spf.access_file, log);
  const policies = new Policies(access, (message) => log.write(message));

  prepareMilter(milter, Milter.ADDHDRS, log);
  await Milter.runmilter(milter.name, milter.socketname, {
    factory: () => new SpfFilter({ config, policies, log }),
    timeout: 600,
    onListening: () => log.write('listening on', milter.socketname),
  });
  log.write('stopped');
}

/** The file is checked for changes every few seconds, so that a change needs no restart. */
async function openAccess(file: string | null, log: Log): Promise<AccessMap | null> {
  if (file === null) return null;
  const map = await AccessMap.open(file, {
    onReload: ({ size }) => log.write(`${file} was read again: ${size} entries`),
    onError: (error) => log.write(`${error.message}; the old entries stay in use`),
  });
  log.write(`${file}: ${map.size} entries`);
  return map;
}

runProgram('spfmilter', main);
