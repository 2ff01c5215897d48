/** OpenDKIM's and dkimpy's own programs, which sign and verify whole messages. */
import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { parseAuthRes } from 'tsmilter/authres';
import type { DnsServer } from '../../../tools/dns-server';
import { installation } from '../../../tools/mta/installation';
import { privateDirectory, removeDirectory } from '../../../tools/private-directory';
import { projectRoot } from '../../../tools/project-root';

/** Debian's, whichever Python comes first in the path. */
const PYTHON = '/usr/bin/python3';
const ARCVERIFY = path.join(projectRoot, 'test/fixtures/mta/arcverify.py');
const DKIMVERIFY = path.join(projectRoot, 'test/fixtures/mta/dkimverify.py');

export interface Signing {
  readonly algorithm: 'rsa-sha256' | 'ed25519-sha256';
  readonly header: 'simple' | 'relaxed';
  readonly body: 'simple' | 'relaxed';
  /** A file with the private key, in the form that the program reads. */
  readonly keyFile: string;
}

interface Ended {
  readonly code: number | null;
  readonly output: string;
  readonly errors: string;
}

async function run(command: string, args: readonly string[], input: Buffer, env = {}): Promise<Ended> {
  const child = spawn(command, args, { env: { ...process.env, LD_PRELOAD: '', ...env } });
  let output = '';
  let errors = '';
  child.stdout.setEncoding('latin1').on('data', (text: string) => {
    output += text;
  });
  child.stderr.setEncoding('latin1').on('data', (text: string) => {
    errors += text;
  });
  child.stdin.on('error', () => {}); // a program that ends without reading says why itself
  child.stdin.end(input);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  return { code, output, errors };
}

/** OpenDKIM's filter in its test mode, which runs messages through all of its callbacks and prints what it would do. */
export class OpenDkim {
  readonly #directory: string;
  #files = 0;

  /** @param directory for its files, of the caller's own */
  constructor(directory: string) {
    this.#directory = directory;
  }

  /** The result of each signature, from its Authentication-Results field. */
  async verify(message: Buffer, dns: DnsServer): Promise<string[]> {
    const records = Object.entries(dns.zone).flatMap(([name, { TXT = [] }]) =>
      TXT.map((text) => `${name} ${[text].flat().join('')}`),
    );
    const zone = this.#write('zone', `${records.join('\n')}\n`);
    const inserted = await this.#test(message, ['Mode v', `TestDNSData file:${zone}`]);
    const results = inserted.flatMap(([name, value]) =>
      name === 'Authentication-Results' ? (parseAuthRes(value)?.results ?? []) : [],
    );
    return results.filter(({ method }) => method === 'dkim').map(({ result }) => result);
  }

  /** The message with its signature at the top. */
  async sign(
    message: Buffer,
    { algorithm, header, body, keyFile }: Signing,
    more: readonly string[] = [],
  ): Promise<Buffer> {
    const inserted = await this.#test(message, [
      'Mode s',
      'Domain example.com',
      'Selector s',
      'RequireSafeKeys no', // it refuses all keys below /tmp
      `KeyFile ${keyFile}`,
      `Canonicalization ${header}/${body}`,
      `SignatureAlgorithm ${algorithm}`,
      ...more,
    ]);
    const fields = inserted.map(([name, value]) => `${name}: ${value.replace(/\r?\n/g, '\r\n')}\r\n`);
    if (fields.length === 0) throw new Error('OpenDKIM has not signed');
    return Buffer.concat([Buffer.from(fields.join(''), 'latin1'), message]);
  }

  /** The fields that it would insert. */
  async #test(message: Buffer, configuration: readonly string[]): Promise<[name: string, value: string][]> {
    const { root, libraryPath } = installation();
    const program = path.join(root, 'usr/sbin/opendkim');
    const config = this.#write('conf', `${configuration.join('\n')}\n`);
    const args = ['-x', config, '-t', this.#write('eml', message), '-vvv'];
    const { code, output, errors } = await run(program, args, Buffer.alloc(0), {
      LD_LIBRARY_PATH: libraryPath,
    });
    if (code !== 0) throw new Error(`OpenDKIM ended with ${code}: ${errors}`);
    const inserted = output.matchAll(/^### INSHEADER: idx=\d+ hname='([^']*)' hvalue='([^']*)'/gm);
    return [...inserted].map(([, name = '', value = '']) => [name, value]);
  }

  #write(extension: string, content: string | Buffer): string {
    const file = path.join(this.#directory, `opendkim${++this.#files}.${extension}`);
    fs.writeFileSync(file, content);
    return file;
  }
}

/** OpenDKIM's little program opendkim-testmsg, without DNS: it signs. */
export async function opendkimTestmsg(message: Buffer, keyFile: string): Promise<Buffer> {
  const args = ['-C', '-d', 'example.com', '-s', 's', '-k', keyFile];
  const { code, output, errors } = await run('opendkim-testmsg', args, message, {
    PATH: `${process.env.PATH}:/usr/sbin`,
  });
  if (code !== 0) throw new Error(`opendkim-testmsg ended with ${code}: ${errors}`);
  return Buffer.from(output, 'latin1');
}

/** dkimpy's dkimverify: whether the signature of that number, from the top, is valid in each of the messages. */
export async function dkimpyVerify(
  messages: readonly Buffer[],
  dns: DnsServer,
  index = 0,
): Promise<string[]> {
  const lines = await linesOf(messages, DKIMVERIFY, dns.address, String(index));
  return lines.map((line) => RESULTS[line] ?? line);
}

/** dkimpy's arcverify: the chain validation status of each of the messages. */
export async function dkimpyVerifyArc(messages: readonly Buffer[], dns: DnsServer): Promise<string[]> {
  const lines = await linesOf(messages, ARCVERIFY, dns.address);
  return lines.map((line) => line.split(' ', 1)[0] as string);
}

/** What a program of dkimpy's writes of each message. */
async function linesOf(messages: readonly Buffer[], ...program: readonly string[]): Promise<string[]> {
  const directory = privateDirectory('dkimpy');
  try {
    const files = messages.map((message, at) => {
      const file = path.join(directory, `${at}.eml`);
      fs.writeFileSync(file, message);
      return file;
    });
    const { code, output, errors } = await run(PYTHON, [...program, ...files], Buffer.alloc(0));
    const lines = output.trim().split('\n');
    if (code !== 0 || lines.length !== files.length)
      throw new Error(`${program[0]} ended with ${code}: ${output}${errors}`);
    return lines;
  } finally {
    removeDirectory(directory);
  }
}

const RESULTS: Readonly<Record<string, string>> = {
  'signature ok': 'pass',
  'signature verification failed': 'fail',
};

/** dkimpy's dkimsign: the message with its signature at the top. */
export async function dkimpySign(
  message: Buffer,
  { algorithm, header, body, keyFile }: Signing,
): Promise<Buffer> {
  const args = ['-m', 'dkim.dkimsign', '--hcanon', header, '--bcanon', body, '--signalg', algorithm];
  const { code, output, errors } = await run(PYTHON, [...args, 's', 'example.com', keyFile], message);
  if (code !== 0) throw new Error(`dkimsign ended with ${code}: ${errors}`);
  return Buffer.from(output, 'latin1');
}

/** dkimpy's arcsign: the message with a set for its chain at the top; it must have an Authentication-Results field of `id`. */
export async function dkimpySealArc(message: Buffer, keyFile: string, id: string): Promise<Buffer> {
  const args = ['-m', 'dkim.arcsign', 's', 'example.com', keyFile, id];
  const { code, output, errors } = await run(PYTHON, args, message);
  if (code !== 0) throw new Error(`arcsign ended with ${code}: ${errors}`);
  return Buffer.from(output, 'latin1');
}
