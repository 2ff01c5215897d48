/**
 * Signing by itself in worker threads, without MTA, libmilter and sockets: the CPU of a message shows whether threads get into each
 * other's way, in Node, in OpenSSL or here, also on a machine that does other things.
 */
import { createPrivateKey } from 'node:crypto';
import { once } from 'node:events';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { DkimSigner, generateKey } from 'tsmilter/dkim';
import { median } from '../statistics';

/** Messages that a thread has in its hands at once, as sessions of a filter. */
const IN_FLIGHT = 4;
const BODY = Buffer.from('Some words of a letter, and two  spaces, in a body of 4 kB.\r\n'.repeat(66));

interface Task {
  readonly pem: string;
  readonly messages: number;
}

async function signAll({ pem, messages }: Task): Promise<void> {
  const key = createPrivateKey(pem);
  const signOne = async () => {
    const signer = new DkimSigner({ keys: [{ domain: 'src.test', selector: 's', key }] });
    signer.header('From', 'a@src.test');
    for (let nth = 0; nth < 14; nth++)
      signer.header(`X-Field-${nth}`, 'the value of a header field, as it comes');
    signer.body(BODY);
    await signer.eom();
  };
  const lane = async () => {
    for (let nth = 0; nth < messages / IN_FLIGHT; nth++) await signOne();
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
}

/** CPU milliseconds of a message that is signed, by so many threads. */
async function trial(threads: number, task: Task): Promise<number> {
  const workers = Array.from({ length: threads }, () => new Worker(__filename));
  const run = () =>
    Promise.all(
      workers.map((worker) => {
        worker.postMessage({ ...task, messages: task.messages / threads } satisfies Task);
        return once(worker, 'message');
      }),
    );
  try {
    await run(); // compiled
    const before = process.cpuUsage();
    await run();
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1000 / task.messages;
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

/** Prints the CPU of a message with one thread and with two, and how much more two could sign on two cores of their own. */
export async function compareThreads(rounds: number, messages: number): Promise<void> {
  for (const type of ['rsa', 'ed25519'] as const) {
    const task = { pem: await generateKey({ type }), messages };
    const all: [one: number, two: number][] = [];
    for (let round = 0; round < rounds; round++) all.push([await trial(1, task), await trial(2, task)]);
    const [one, two] = [median(all.map(([one]) => one)), median(all.map(([, two]) => two))];
    const figures = [one, two].map((ms) => `${ms.toFixed(3)} ms`.padStart(18)).join('');
    console.log(`${type.padEnd(16)}${figures}  ${((2 * one) / two).toFixed(2)} x`);
  }
}

if (!isMainThread) {
  parentPort?.on('message', async (task: Task) => {
    await signAll(task);
    parentPort?.postMessage('done');
  });
}
