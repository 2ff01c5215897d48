/**
 * The production filter for Sendmail and Postfix: rules for each step of a message, configured in one file. Modelled on the
 * features of bms.py, a filter for pymilter.
 *
 *     node guard.js [/etc/mail/guard.cfg]
 *     node guard.js --check [/etc/mail/guard.cfg]    checks the file and ends
 *     node guard.js --options                        prints all options, as Markdown
 *
 * docs/guard.md explains the configuration. The rules stand in examples/guard/rules, a directory for each step;
 * examples/guard/README.md says how to add one. The filter logs to stdout, reads its files again when they change or on SIGHUP,
 * and stops on SIGTERM and SIGINT.
 */
import * as Milter from 'tsmilter';
import { checkConfig } from './guard/check-config';
import { describeOptions } from './guard/describe';
import { GuardFilter } from './guard/filter';
import { LiveConfig } from './guard/live-config';
import { rules } from './guard/rules';
import { readCommandLine } from './shared/command-line';
import { Log } from './shared/log';
import { prepareMilter } from './shared/milter-options';
import { runProgram } from './shared/program';

const CONFIGURATION = '/etc/mail/guard.cfg';
const USAGE = `usage: guard.js [--check | --options] [FILE]    (FILE: the configuration, ${CONFIGURATION} by default)`;
/** What rules may do to a message. */
const RIGHTS =
  Milter.ADDHDRS |
  Milter.CHGHDRS |
  Milter.CHGBODY |
  Milter.CHGFROM |
  Milter.ADDRCPT |
  Milter.ADDRCPT_PAR |
  Milter.DELRCPT |
  Milter.QUARANTINE;

async function main(): Promise<void> {
  const { file, check, options } = readArguments();
  if (options) {
    process.stdout.write(describeOptions(rules));
    return;
  }
  if (check) {
    const active = await checkConfig(file);
    const names = active.map(({ name, mode }) => `${name} (${mode})`);
    console.log(`${file}: ${active.length} rules are on: ${names.join(', ')}`);
    return;
  }
  let log: Log | undefined;
  const live = await LiveConfig.open(file, rules, (message) => log?.write(message));
  log = new Log(live.current.milter.name);
  await serve(live, log);
  await live.close();
  log.write('stopped');
}

function readArguments() {
  const { values, positionals } = readCommandLine(USAGE, {
    check: { type: 'boolean' },
    options: { type: 'boolean' },
  });
  const [file = CONFIGURATION] = positionals;
  return { file, check: values.check === true, options: values.options === true };
}

async function serve(live: LiveConfig, log: Log): Promise<void> {
  const { milter } = live.current;
  const { name, socketname, metrics } = milter;
  prepareMilter(milter, RIGHTS, log);
  await Milter.runmilter(name, socketname, {
    factory: () => new GuardFilter({ live, log }),
    timeout: 600,
    ...(metrics !== null && { metrics }),
    reload: () => live.reload('SIGHUP'),
    // The rules log what they decide about each message.
    logLevel: 'warn',
    onListening: () => log.write('listening on', socketname),
  });
}

runProgram('guard', main);
