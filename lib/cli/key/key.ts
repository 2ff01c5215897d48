/** `tsmilter key`: makes keys for DKIM and ARC, and checks what DNS has of them. */
import { writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import {
  checkKey,
  formatKeyRecord,
  formatZoneLine,
  generateKey,
  type KeyType,
  keyRecordName,
  readKeyFile,
} from '../../dkim/index.js';
import { DnsSession } from '../../dns/index.js';
import { type CommandContext, type Define, describe, EXIT } from '../command.js';
import { count, oneOf } from '../values.js';

interface Names {
  domain: string;
  selector: string;
}
interface KeyFileOptions {
  key: string;
  groupReadable?: boolean;
}

/** Adds `key` to the program. */
export function registerKey(program: Command, define: Define): void {
  const key = program.command('key').summary('make keys for DKIM and ARC, and check what DNS has of them');
  registerGenerate(key, define);
  registerRecord(key, define);
  registerCheck(key, define);
}

function withNames(command: Command): Command {
  return command
    .requiredOption('--domain <domain>', 'the domain that signs')
    .requiredOption('--selector <selector>', 'the name of the key in the domain');
}

function registerGenerate(key: Command, define: Define): void {
  const command = withNames(key.command('generate'))
    .description(
      'Makes a pair, writes the private key to a file that must not exist, and prints the DNS record.',
    )
    .option('--type <type>', 'rsa (default) or ed25519', oneOf('rsa', 'ed25519'))
    .option('--bits <n>', 'the size of an RSA key; default: 2048', count(1))
    .option('--out <file>', 'the file; default: DOMAIN.SELECTOR.pem');
  describe(command, {
    ok: 'the file is written',
    examples: ['tsmilter key generate --domain example.com --selector 2026 --out /etc/mail/keys/2026.pem'],
  });
  define<[Names & { type?: KeyType; bits?: number; out?: string }]>(command, generate);
}

function registerRecord(key: Command, define: Define): void {
  const command = withNames(key.command('record'))
    .description('Prints the DNS record of a private key.')
    .requiredOption('--key <file>', 'the private key')
    .option('--group-readable', 'allow a file that its group can read');
  describe(command, {
    examples: ['tsmilter key record --domain example.com --selector 2026 --key 2026.pem'],
  });
  define<[Names & KeyFileOptions]>(command, record);
}

function registerCheck(key: Command, define: Define): void {
  const command = withNames(key.command('check'))
    .description('Asks DNS for the record, and compares it with the private key.')
    .option('--key <file>', 'the private key')
    .option('--group-readable', 'allow a file that its group can read')
    .option('--nameserver <address>', 'the DNS server, IP[:PORT]; default: those of /etc/resolv.conf');
  describe(command, {
    ok: 'DNS has the record, and it belongs to the key',
    failed: 'there is no usable record, or it is of another key',
    exitCodes: { [EXIT.tryAgain]: 'DNS did not answer' },
    examples: ['tsmilter key check --domain example.com --selector 2026 --key 2026.pem'],
  });
  define<[Names & Partial<KeyFileOptions> & { nameserver?: string }]>(command, check);
}

async function generate(
  { output }: CommandContext,
  { domain, selector, type = 'rsa', bits, out }: Names & { type?: KeyType; bits?: number; out?: string },
): Promise<number> {
  const name = keyRecordName(selector, domain);
  const file = out ?? `${domain}.${selector}.pem`;
  const key = await generateKey({ type, ...(bits !== undefined && { bits }) });
  // wx: a key that is in use must not be lost by a slip.
  await writeFile(file, key, { mode: 0o600, flag: 'wx' });
  output.error(`The private key is in ${file}. Put this into DNS, then run: tsmilter key check`);
  output.printText(formatZoneLine(name, formatKeyRecord(key)));
  return EXIT.ok;
}

async function record(
  { output }: CommandContext,
  { domain, selector, ...file }: Names & KeyFileOptions,
): Promise<number> {
  const name = keyRecordName(selector, domain);
  output.printText(formatZoneLine(name, formatKeyRecord(await readKey(file))));
  return EXIT.ok;
}

async function check(
  { output }: CommandContext,
  {
    domain,
    selector,
    key: file,
    groupReadable = false,
    nameserver,
  }: Names & Partial<KeyFileOptions> & { nameserver?: string },
): Promise<number> {
  const resolver = new DnsSession(nameserver === undefined ? {} : { servers: [nameserver] });
  const key = file === undefined ? {} : { key: await readKey({ key: file, groupReadable }) };
  const found = await checkKey({ domain, selector, resolver, ...key });
  const kind = found.type === undefined ? '' : ` (${found.type}, ${found.bits} bits)`;
  output.print(
    `${found.name}: ${found.result}${kind}${found.reason === undefined ? '' : `: ${found.reason}`}`,
  );
  for (const warning of found.warnings) output.error(`warning: ${warning}`);
  if (found.result === 'ok') return EXIT.ok;
  return found.result === 'temperror' ? EXIT.tryAgain : EXIT.failed;
}

function readKey({ key, groupReadable = false }: KeyFileOptions) {
  return readKeyFile(key, { maxMode: groupReadable ? 0o640 : 0o600 });
}
