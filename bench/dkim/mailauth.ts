/** mailauth's side of bench/dkim.ts: `mailauth.js sign|verify FOLDER MESSAGE SECONDS`. FOLDER has mailauth in node_modules. */
import { createReadStream, type ReadStream, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { measure } from './measure';

/** The part of mailauth that is used here. */
interface Mailauth {
  dkimSign(
    input: ReadStream,
    options: { canonicalization: string; signatureData: readonly object[] },
  ): Promise<{ signatures: string; errors: readonly Error[] }>;
  dkimVerify(
    input: ReadStream,
    options: { resolver(): Promise<string[][]> },
  ): Promise<{ results: readonly { status?: { result: string } }[] }>;
}

const [mode, folder = '', message = '', limit] = process.argv.slice(2);
const at = (name: string): Mailauth => require(join(folder, 'node_modules/mailauth/lib/dkim', name));
const { dkimVerify } = at('verify');
const { dkimSign } = at('sign');
const privateKey = readFileSync(join(folder, 'key.pem'), 'utf8');
const record = readFileSync(join(folder, 'record.txt'), 'utf8');

async function run(): Promise<void> {
  const input = createReadStream(message, { highWaterMark: 65_535 });
  if (mode === 'sign') {
    const { signatures, errors } = await dkimSign(input, {
      canonicalization: 'relaxed/relaxed',
      signatureData: [{ signingDomain: 'example.com', selector: 's', privateKey }],
    });
    if (!signatures) throw errors[0];
    return;
  }
  const { results } = await dkimVerify(input, { resolver: async () => [[record]] });
  if (results[0]?.status?.result !== 'pass') throw new Error('mailauth: the signature is not valid');
}

void measure(run, Number(limit));
