/** This project's side of bench/mime.ts: what bench/mime-peer.py does, with tsmilter/mime. */
import { readFileSync } from 'node:fs';
import { defang, MimeMessage } from 'tsmilter/mime';

async function run(source: Buffer): Promise<Buffer> {
  const message = MimeMessage.from(source);
  await defang(message);
  return message.asBytes();
}

async function main([passes, ...paths]: string[]): Promise<void> {
  const seconds: number[] = [];
  for (const source of paths.map((path) => readFileSync(path))) {
    await run(source);
    const begun = performance.now();
    for (let pass = 0; pass < Number(passes); pass++) await run(source);
    seconds.push((performance.now() - begun) / 1000);
  }
  console.log(JSON.stringify({ seconds, failed: 0 }));
}

void main(process.argv.slice(2));
