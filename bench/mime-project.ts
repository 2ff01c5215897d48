/** This project's side of bench/mime.ts: what bench/mime-peer.py does, with tsmilter/mime. */
import { readFileSync } from 'node:fs';
import { defang, MimeMessage } from 'tsmilter/mime';

async function run(source: Buffer): Promise<Buffer> {
  const message = MimeMessage.from(source);
  await defang(message);
  return message.asBytes();
}

/** Seconds of this thread and of those that compile and collect garbage for it. */
function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

/** Milliseconds for each message: the time of many passes, after `warmup` milliseconds that are not counted. */
async function main(warmup: number, passes: number, paths: readonly string[]): Promise<void> {
  const milliseconds: number[] = [];
  for (const source of paths.map((path) => readFileSync(path))) {
    const warm = cpuSeconds() + warmup / 1000;
    do await run(source);
    while (cpuSeconds() < warm);
    const count = passes * Math.max(1, Math.round(100_000 / source.length));
    const begun = cpuSeconds();
    for (let pass = 0; pass < count; pass++) await run(source);
    milliseconds.push(((cpuSeconds() - begun) * 1000) / count);
  }
  console.log(JSON.stringify({ milliseconds, failed: 0 }));
}

const [warmup, passes, ...paths] = process.argv.slice(2);
void main(Number(warmup), Number(passes), paths);
