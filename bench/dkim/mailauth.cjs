'use strict';
/** mailauth's side of bench/dkim.ts: `mailauth.cjs sign|verify FOLDER MESSAGE SECONDS`. FOLDER has mailauth in node_modules. */
const fs = require('node:fs');
const path = require('node:path');

const [mode, folder, message, limit] = process.argv.slice(2);
const at = (name) => require(path.join(folder, 'node_modules/mailauth/lib/dkim', name));
const { dkimVerify } = at('verify');
const { dkimSign } = at('sign');
const privateKey = fs.readFileSync(path.join(folder, 'key.pem'), 'utf8');
const record = fs.readFileSync(path.join(folder, 'record.txt'), 'utf8');

async function run() {
  const input = fs.createReadStream(message, { highWaterMark: 65_535 });
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

/** Milliseconds. */
const cpuOf = ({ user, system }) => (user + system) / 1000;

/** Runs for so many seconds of CPU, and once at least; milliseconds a pass, of time and of CPU. */
async function repeat(limit) {
  const begun = performance.now();
  const busy = process.cpuUsage();
  let passes = 0;
  do {
    await run();
    passes++;
  } while (cpuOf(process.cpuUsage(busy)) < limit * 1000);
  const ms = (performance.now() - begun) / passes;
  return { ms, cpuMs: cpuOf(process.cpuUsage(busy)) / passes };
}

async function main() {
  await repeat(Number(limit) / 2); // a warm-up
  const times = await repeat(Number(limit));
  // resourceUsage counts what this process's parent had before exec, too.
  const [, peak] = /^VmHWM:\s*(\d+)/m.exec(fs.readFileSync('/proc/self/status', 'latin1'));
  console.log(JSON.stringify({ ...times, peakKiB: Number(peak) }));
}

void main();
