/** `tsmilter key`: makes keys for DKIM and ARC, and checks what DNS has of them. */
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import {
  checkKey,
  formatKeyRecord,
  formatZoneLine,
  generateKey,
  type KeyType,
  keyRecordName,
  readKeyFile,
} from '../dkim/index.js';
import { DnsSession } from '../dns/index.js';
import { type Command, EXIT, type Output, UsageError } from './command.js';

const USAGE = `usage: tsmilter key generate --domain DOMAIN --selector SELECTOR [--type rsa|ed25519] [--bits N] [--out FILE]
       tsmilter key record   --domain DOMAIN --selector SELECTOR --key FILE [--group-readable]
       tsmilter key check    --domain DOMAIN --selector SELECTOR [--key FILE] [--group-readable] [--nameserver IP[:PORT]]

generate  makes a pair, writes the private key to FILE (by default DOMAIN.SELECTOR.pem), which must not exist,
          and prints the DNS record
record    prints the DNS record of a private key
check     asks DNS for the record and compares it with the private key; exits with 1 if it is missing or of
          another key, with 75 if DNS does not answer`;

const OPTIONS = {
  domain: { type: 'string' },
  selector: { type: 'string' },
  type: { type: 'string', default: 'rsa' },
  bits: { type: 'string' },
  out: { type: 'string' },
  key: { type: 'string' },
  'group-readable': { type: 'boolean', default: false },
  nameserver: { type: 'string' },
} as const;

type Values = ReturnType<typeof valuesOf>['values'];
type Action = (values: Values, output: Output) => Promise<number>;

const ACTIONS: ReadonlyMap<string, { readonly options: readonly string[]; readonly run: Action }> = new Map([
  ['generate', { options: ['type', 'bits', 'out'], run: generate }],
  ['record', { options: ['key', 'group-readable'], run: record }],
  ['check', { options: ['key', 'group-readable', 'nameserver'], run: check }],
]);
const COMMON = ['domain', 'selector'];

export const keyCommand: Command = {
  usage: USAGE,
  async run(args, output) {
    const { values, positionals, given } = valuesOf(args);
    const action = ACTIONS.get(positionals[0] ?? '');
    if (!action || positionals.length > 1) throw new UsageError('say generate, record or check');
    const foreign = given.find((name) => ![...COMMON, ...action.options].includes(name));
    if (foreign !== undefined) throw new UsageError(`key ${positionals[0]} has no option --${foreign}`);
    return await action.run(values, output);
  },
};

function valuesOf(args: readonly string[]) {
  try {
    const { values, positionals, tokens } = parseArgs({
      args: [...args],
      options: OPTIONS,
      allowPositionals: true,
      tokens: true,
    });
    const given = tokens.flatMap((token) => (token.kind === 'option' ? [token.name] : []));
    return { values, positionals, given };
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function nameOf({ domain, selector }: Values): string {
  if (domain === undefined || selector === undefined)
    throw new UsageError('--domain and --selector are needed');
  return keyRecordName(selector, domain);
}

async function generate(values: Values, output: Output): Promise<number> {
  const name = nameOf(values);
  const file = values.out ?? `${values.domain}.${values.selector}.pem`;
  const bits = values.bits === undefined ? {} : { bits: Number(values.bits) };
  const key = await generateKey({ type: values.type as KeyType, ...bits });
  // wx: a key that is in use must not be lost by a slip.
  await writeFile(file, key, { mode: 0o600, flag: 'wx' });
  output.error(`The private key is in ${file}. Put this into DNS, then run: tsmilter key check`);
  output.print(formatZoneLine(name, formatKeyRecord(key)));
  return EXIT.ok;
}

async function record(values: Values, output: Output): Promise<number> {
  const name = nameOf(values);
  if (values.key === undefined) throw new UsageError('--key is needed');
  output.print(formatZoneLine(name, formatKeyRecord(await readKey(values.key, values))));
  return EXIT.ok;
}

async function check(values: Values, output: Output): Promise<number> {
  nameOf(values);
  const { domain = '', selector = '', nameserver } = values;
  const resolver = new DnsSession(nameserver === undefined ? {} : { servers: [nameserver] });
  const key = values.key === undefined ? {} : { key: await readKey(values.key, values) };
  const found = await checkKey({ domain, selector, resolver, ...key });
  const kind = found.type === undefined ? '' : ` (${found.type}, ${found.bits} bits)`;
  output.print(
    `${found.name}: ${found.result}${kind}${found.reason === undefined ? '' : `: ${found.reason}`}`,
  );
  for (const warning of found.warnings) output.error(`warning: ${warning}`);
  if (found.result === 'ok') return EXIT.ok;
  return found.result === 'temperror' ? EXIT.tryAgain : EXIT.failed;
}

function readKey(file: string, values: Values) {
  return readKeyFile(file, { maxMode: values['group-readable'] ? 0o640 : 0o600 });
}
