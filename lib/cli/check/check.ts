/** `tsmilter check`: what a filter is configured with, before it runs with it. */
import type { Command } from 'commander';
import { type CommandContext, type Define, describe, EXIT, UsageError } from '../command.js';
import { countOf, type Finding, printFindings, printJson } from '../finding.js';
import { dnsServer, oneOf } from '../values.js';
import { checkConfig } from './config.js';
import { checkDomain, TEMPORARY } from './domain.js';
import { type CheckFile, checkAccessMap, checkAddressList, checkKeyFile, checkNetworkList } from './files.js';

interface ResultOptions {
  json?: boolean;
}
interface AccessOptions extends ResultOptions {
  separator?: ':' | '!';
  type?: 'text' | 'hash' | 'btree' | 'lmdb';
}
interface KeyOptions extends ResultOptions {
  groupReadable?: boolean;
}
interface DomainOptions extends ResultOptions, KeyOptions {
  selector?: readonly string[];
  key?: string;
  dnsServer?: string;
}

/** Adds `check` to the program. */
export function registerCheck(program: Command, define: Define): void {
  const check = program
    .command('check')
    .summary('check a configuration, access map, list, key or the DNS records of a domain');
  registerConfig(check, define);
  registerAccess(check, define);
  registerLists(check, define);
  registerKey(check, define);
  registerDomain(check, define);
}

/** Adds what all subcommands have. */
function complete(command: Command, examples: readonly string[], exitCodes = {}): void {
  command.option('--json', 'print one line of JSON');
  describe(command, { ok: 'no errors', failed: 'at least one error', examples, exitCodes });
}

function registerConfig(check: Command, define: Define): void {
  const command = check
    .command('config')
    .description(
      'Checks files in the format of tsmilter/config: the syntax, and the section [milter] if it has settings of tsmilter run. A filter\n' +
        'checks its own options by a module that exports checkConfig(file), which throws.',
    )
    .argument('<file...>', 'the configuration')
    .option('--reader <module>', 'the module that exports checkConfig, or readConfig');
  complete(command, [
    'tsmilter check config /etc/nolottery.cfg',
    'tsmilter check config spfmilter.cfg --reader build/spfmilter/config.js',
    'tsmilter check config guard.cfg --reader build/guard/check-config.js',
  ]);
  define<[string[], ResultOptions & { reader?: string }]>(
    command,
    ({ output }, files, { reader, ...options }) =>
      checkFiles({ output }, files, options, (file) => checkConfig(file, reader)),
  );
}

function registerAccess(check: Command, define: Define): void {
  const command = check
    .command('access')
    .description("Checks Sendmail's access maps, or maps of their form (tsmilter/policy).")
    .argument('<file...>', 'the source text, or the compiled map')
    .option(
      '--separator <character>',
      'between a prefix and the rest of a key: ":" (default) or "!"',
      oneOf(':', '!'),
    )
    .option(
      '--type <type>',
      'text, hash, btree or lmdb; default: detected',
      oneOf('text', 'hash', 'btree', 'lmdb'),
    );
  complete(command, [
    'tsmilter check access /etc/mail/access',
    'tsmilter check access access.db --type hash',
  ]);
  define<[string[], AccessOptions]>(command, ({ output }, files, { separator, type, ...options }) =>
    checkFiles({ output }, files, options, (file) => checkAccessMap(file, { separator, type })),
  );
}

function registerLists(check: Command, define: Define): void {
  const list = check
    .command('list')
    .description('Checks lists of names and addresses (tsmilter/lists).')
    .argument('<file...>', 'the list');
  complete(list, ['tsmilter check list /etc/mail/banned']);
  define<[string[], ResultOptions]>(list, (context, files, options) =>
    checkFiles(context, files, options, checkAddressList),
  );
  const networks = check
    .command('networks')
    .description('Checks lists of IP addresses and networks (tsmilter/lists).')
    .argument('<file...>', 'the list');
  complete(networks, ['tsmilter check networks /etc/mail/internal']);
  define<[string[], ResultOptions]>(networks, (context, files, options) =>
    checkFiles(context, files, options, checkNetworkList),
  );
}

function registerKey(check: Command, define: Define): void {
  const command = check
    .command('key')
    .description(
      'Checks private keys for DKIM and ARC: kind, size, owner and mode. tsmilter key check compares one with DNS.',
    )
    .argument('<file...>', 'the private key')
    .option('--group-readable', 'allow a file that its group can read');
  complete(command, ['tsmilter check key /etc/mail/keys/2026.pem']);
  define<[string[], KeyOptions]>(command, (context, files, { groupReadable = false, ...options }) =>
    checkFiles(context, files, options, (file) => checkKeyFile(file, groupReadable)),
  );
}

function registerDomain(check: Command, define: Define): void {
  const command = check
    .command('domain')
    .description('Asks DNS for the records of a domain that sends mail: SPF, DMARC, and the keys of DKIM.')
    .argument('<name>', 'the domain')
    .option(
      '--selector <selector>',
      'the name of a key of DKIM; may be repeated',
      (selector: string, selectors: readonly string[] = []) => [...selectors, selector],
    )
    .option('--key <file>', 'the private key of the only selector')
    .option('--group-readable', 'allow a key that its group can read')
    .option(
      '--dns-server <address>',
      'the DNS server, IP[:PORT]; default: those of /etc/resolv.conf',
      dnsServer,
    );
  complete(
    command,
    [
      'tsmilter check domain example.com --selector 2026',
      'tsmilter check domain example.com --selector 2026 --key 2026.pem --dns-server 192.0.2.53',
    ],
    { [EXIT.tryAgain]: 'DNS did not answer' },
  );
  define<[string, DomainOptions]>(command, domain);
}

async function domain(
  { output }: CommandContext,
  name: string,
  { selector: selectors = [], key, dnsServer: server, groupReadable = false, ...options }: DomainOptions,
): Promise<number> {
  if (key !== undefined && selectors.length !== 1) throw new UsageError('--key needs one --selector');
  const findings = await checkDomain(name, { selectors, key, dnsServer: server, groupReadable });
  const failed = show({ output }, findings, options);
  if (failed === EXIT.ok) return EXIT.ok;
  const temporary = findings.every(({ level, code }) => level !== 'error' || code === TEMPORARY);
  return temporary ? EXIT.tryAgain : failed;
}

type Results = Pick<CommandContext, 'output'>;

async function checkFiles(
  context: Results,
  files: readonly string[],
  options: ResultOptions,
  check: CheckFile,
): Promise<number> {
  const findings: Finding[] = [];
  for (const file of files) findings.push(...(await check(file)));
  return show(context, findings, options);
}

function show({ output }: Results, findings: readonly Finding[], { json = false }: ResultOptions): number {
  if (json) printJson(output, findings);
  else printFindings(output, findings);
  return countOf(findings, 'error') === 0 ? EXIT.ok : EXIT.failed;
}
