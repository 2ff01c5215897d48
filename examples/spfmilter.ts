/**
 * SPF for Sendmail and Postfix, modelled on pymilter's spfmilter: rejects mail from servers that a domain's SPF record does not
 * allow, and records the result in a header.
 *
 *     node spfmilter.js [/etc/mail/spfmilter.cfg]
 *
 * docs/spfmilter.md explains the configuration; examples/spfmilter has files to start from. The filter logs to stdout, and stops
 * on SIGTERM and SIGINT.
 */
import { inspect } from 'node:util';
import * as Milter from 'tsmilter';
import { AccessMap } from 'tsmilter/policy';
import { readCommandLine } from './shared/command-line';
import { ConfigError } from './shared/config-error';
import { Log } from './shared/log';
import { type Config, readConfig } from './spfmilter/config';
import { SpfFilter } from './spfmilter/filter';
import { Policies } from './spfmilter/policy';

const CONFIGURATION = '/etc/mail/spfmilter.cfg';
const USAGE = `usage: spfmilter.js [FILE]    (FILE: the configuration, ${CONFIGURATION} by default)`;

async function main(): Promise<void> {
  const [file = CONFIGURATION] = readCommandLine(USAGE, {}).positionals;
  const config = await readConfig(file);
  const log = new Log(config.name);
  using access = await openAccess(config, log);
  const policies = new Policies(access, (message) => log.write(message));

  if (config.umask !== null) process.umask(config.umask);
  Milter.setFlags(Milter.ADDHDRS);
  Milter.setExceptionPolicy(config.untrappedException);
  Milter.setErrorHook((error, step) => log.write(`untrapped exception in ${step}:`, inspect(error)));
  await Milter.runmilter(config.name, config.socket, {
    factory: () => new SpfFilter({ config, policies, log }),
    timeout: 600,
    onListening: () => log.write('listening on', config.socket),
  });
  log.write('stopped');
}

/** The file is checked for changes every few seconds, so that a change needs no restart. */
async function openAccess({ accessFile }: Config, log: Log): Promise<AccessMap | null> {
  if (accessFile === null) return null;
  const map = await AccessMap.open(accessFile, {
    onReload: ({ size }) => log.write(`${accessFile} was read again: ${size} entries`),
    onError: (error) => log.write(`${error.message}; the old entries stay in use`),
  });
  log.write(`${accessFile}: ${map.size} entries`);
  return map;
}

main().catch((error: unknown) => {
  // A problem that an administrator can correct is reported in one line; anything else needs its stack.
  const known = error instanceof ConfigError || error instanceof Milter.MilterError;
  console.error(`spfmilter: ${known ? error.message : inspect(error)}`);
  process.exitCode = 1;
});
