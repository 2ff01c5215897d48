/** `tsmilter doctor`: finds what stands between an MTA and a filter. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Command } from 'commander';
import { readText } from '../../config/read-text.js';
import { normaliseMainOptions } from '../../runtime/options.js';
import { checkSocketSpec } from '../../runtime/socket-spec.js';
import { type CommandContext, type Define, describe, EXIT, UsageError } from '../command.js';
import { countOf, type Finding, printFindings, printJson } from '../finding.js';
import { readConfigFile } from '../run/config-file.js';
import { duration } from '../values.js';
import { checkInstallation } from './installation.js';
import { checkListening } from './listening.js';
import { readPostfixConfiguration } from './postfix.js';
import {
  fromLibmilter,
  isLoopback,
  isSame,
  type MtaConfiguration,
  type Route,
  spellings,
  type Target,
} from './route.js';
import { readSendmailConfiguration } from './sendmail.js';
import { checkSocketPath } from './socket-path.js';
import { checkUnits } from './systemd.js';
import { checkTimeouts, type FilterTimes } from './timeouts.js';

interface DoctorOptions {
  config?: string;
  handlerTimeout?: number;
  progressInterval?: number;
  sendmailCf: string;
  mainCf: string;
  unit?: readonly string[];
  units: string;
  json?: boolean;
}

/** A configuration file of an MTA is some 100 KiB. */
const MAX_FILE = 8 * 1024 * 1024;

/** Adds `doctor` to the program. */
export function registerDoctor(program: Command, define: Define): void {
  const command = program
    .command('doctor')
    .summary('find what stands between an MTA and a filter')
    .description(
      'Examines the installation, the configurations of Sendmail and Postfix, the way to the socket, who may connect, timeouts, and\n' +
        'systemd units. It changes nothing. As root it tries what the MTA may do; as another user it computes that from the modes.',
    )
    .argument('[socket]', "the filter's socket; default: those that the MTAs' configurations name")
    .option('--config <file>', 'take socket and times from a configuration file of tsmilter run')
    .option('--handler-timeout <time>', "the filter's handlerTimeout; default: 5m", duration)
    .option('--progress-interval <time>', "the filter's progressInterval; default: 5s", duration)
    .option('--sendmail-cf <file>', "Sendmail's configuration", '/etc/mail/sendmail.cf')
    .option('--main-cf <file>', "Postfix's configuration, with master.cf beside it", '/etc/postfix/main.cf')
    .option(
      '--unit <file>',
      "the filter's systemd unit; may be repeated",
      (file: string, files: readonly string[] = []) => [...files, file],
    )
    .option('--units <directory>', 'where units that name the socket are searched', '/etc/systemd/system')
    .option('--json', 'print one line of JSON');
  describe(command, {
    ok: 'no errors',
    failed: 'at least one error',
    examples: [
      'tsmilter doctor',
      'tsmilter doctor unix:/run/nolottery/sock --handler-timeout 20s',
      'tsmilter doctor --config /etc/nolottery.cfg --json',
    ],
  });
  define<[string | undefined, DoctorOptions]>(command, doctor);
}

async function doctor(
  { output }: CommandContext,
  given: string | undefined,
  options: DoctorOptions,
): Promise<number> {
  const settings = options.config === undefined ? {} : readConfigFile(options.config);
  const wanted = targetOf(given ?? settings.socket);
  const times: FilterTimes = normaliseMainOptions({
    handlerTimeout: options.handlerTimeout ?? settings.handlerTimeout,
    progressInterval: options.progressInterval ?? settings.progressInterval,
  } as FilterTimes);
  const mtas = configurations(options);
  const routes = mtas.routes.filter((route) => !wanted || isMeant(route, wanted));
  const findings = [checkInstallation(), ...mtas.findings];
  if (wanted && routes.length === 0) findings.push(unrouted(wanted));
  for (const route of routes) findings.push(...(await checkRoute(route, times)));
  const targets = distinct([...(wanted ? [wanted] : []), ...routes.map(({ target }) => target)]);
  if (wanted?.kind === 'unix' && routes.length === 0)
    findings.push(...(await checkSocketPath(wanted.path, null)));
  for (const target of targets) findings.push(await checkListening(target));
  const paths = targets.flatMap((target) => (target.kind === 'unix' ? [target.path] : []));
  findings.push(...checkUnits(options.unit ?? [], options.units, paths));
  if (options.json) printJson(output, findings);
  else printFindings(output, findings);
  return countOf(findings, 'error') === 0 ? EXIT.ok : EXIT.failed;
}

function targetOf(socket: string | undefined): Target | null {
  if (socket === undefined) return null;
  checkSocketSpec(socket);
  const target = fromLibmilter(socket);
  if (!target) throw new UsageError(`${socket}: name the socket with its path or its port`);
  return target;
}

/** What the configurations of both MTAs say, as far as they are there. */
function configurations({ sendmailCf, mainCf }: DoctorOptions): MtaConfiguration {
  const read: MtaConfiguration[] = [];
  if (existsSync(sendmailCf))
    read.push(readSendmailConfiguration(sendmailCf, readText(sendmailCf, MAX_FILE)));
  const masterCf = join(dirname(mainCf), 'master.cf');
  if (existsSync(mainCf)) {
    const master = existsSync(masterCf) ? readText(masterCf, MAX_FILE) : '';
    read.push(readPostfixConfiguration(mainCf, readText(mainCf, MAX_FILE), master));
  }
  if (read.length > 0) {
    return {
      routes: read.flatMap(({ routes }) => routes),
      findings: read.flatMap(({ findings }) => findings),
    };
  }
  const message = `neither ${sendmailCf} nor ${mainCf} is there`;
  const cure = 'name the configuration with --sendmail-cf or --main-cf';
  return { routes: [], findings: [{ level: 'note', code: 'no-mta', about: 'MTA', message, cure }] };
}

/** Whether a route leads to a socket, or would without its chroot. */
function isMeant({ target, chroot }: Route, wanted: Target): boolean {
  if (chroot === null || wanted.kind === 'inet') return isSame(target, wanted);
  return isSame(target, wanted) || isSame(target, { kind: 'unix', path: join(chroot, wanted.path) });
}

function unrouted(wanted: Target): Finding {
  const { libmilter, sendmail, postfix } = spellings(wanted);
  return {
    level: 'warning',
    code: 'no-route',
    about: libmilter,
    message: 'no configuration of an MTA leads to this socket',
    cure: `Sendmail: INPUT_MAIL_FILTER(\`name', \`S=${sendmail}, F=T'); Postfix: smtpd_milters = ${postfix}`,
  };
}

async function checkRoute(route: Route, times: FilterTimes): Promise<Finding[]> {
  const found = checkTimeouts(route, times);
  const { target } = route;
  if (target.kind === 'unix') return [...found, ...(await checkSocketPath(target.path, route))];
  if (isLoopback(target.host)) return found;
  const message = `the mail goes to ${target.host} over a protocol without encryption and authentication`;
  return [
    ...found,
    {
      level: 'note',
      code: 'network',
      about: route.where,
      message,
      cure: 'use a private network or a tunnel, and a firewall',
    },
  ];
}

/** Each target once. */
function distinct(targets: readonly Target[]): Target[] {
  return targets.filter((target, at) => targets.findIndex((other) => isSame(other, target)) === at);
}
