/** This project's side of bench/dkim.ts: `project.js sign|verify FOLDER MESSAGE SECONDS`. */
import { createPrivateKey } from 'node:crypto';
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { DkimSigner, DkimVerifier } from 'tsmilter/dkim';
import { measure } from './measure';

const CHUNK = 65_535;
const [mode, folder = '', path = '', limit] = process.argv.slice(2);
const key = createPrivateKey(readFileSync(join(folder, 'key.pem')));
const record = readFileSync(join(folder, 'record.txt'), 'latin1');
const resolver = { resolveTxt: async () => [[record]] };
const buffer = Buffer.alloc(CHUNK);

/** As libmilter feeds a filter: field by field, and the body in chunks, which are read as they are needed. */
function feed(taker: DkimSigner | DkimVerifier): void {
  const file = openSync(path, 'r');
  let length = readSync(file, buffer);
  const end = buffer.indexOf('\r\n\r\n');
  const fields = buffer.toString('latin1', 0, end).split(/\r\n(?![ \t])/);
  for (const field of fields) {
    const colon = field.indexOf(':');
    taker.header(field.slice(0, colon), field.slice(colon + 2));
  }
  taker.eoh();
  taker.body(buffer.subarray(end + 4, length));
  for (length = readSync(file, buffer); length > 0; length = readSync(file, buffer)) {
    taker.body(buffer.subarray(0, length));
  }
  closeSync(file);
}

async function run(): Promise<void> {
  if (mode === 'sign') {
    const signer = new DkimSigner({ keys: [{ domain: 'example.com', selector: 's', key }] });
    feed(signer);
    await signer.eom();
    return;
  }
  const verifier = new DkimVerifier({ resolver });
  feed(verifier);
  const [result] = await verifier.eom();
  if (result?.result !== 'pass') throw new Error(`tsmilter: ${result?.reason}`);
}

void measure(run, Number(limit));
