/**
 * Measures our filters behind Postfix against the programs that do the same in a row.
 *
 *     node .build/bench/chains.js [--rounds 5] [--quick] [--only authentication]
 *
 * Each round starts fresh filters and a fresh Postfix for each chain, in turns, and sends messages in several sessions, after a
 * warm-up; the medians of the rounds are printed. Postfix holds the messages, because delivery would take most of the time. CPU
 * and memory are those of the filters, summed. It needs root, for the port of its DNS server (127.77.0.53:53) and mounts of
 * /etc/resolv.conf that only the filters see; `scripts/install-tools bench` installs the others' programs.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { freePort } from '../tools/free-ports';
import { type Mta, SmtpClient, startPostfix } from '../tools/mta';
import { type Chain, type ChainRow, rows } from './chains/contenders';
import { Running } from './chains/programs';
import { CLIENT, SENDER, World } from './chains/world';
import { median } from './statistics';
import { wholeNumber } from './whole-number';

const SESSIONS = 8;
const MESSAGES = 2_400;
const QUICK_MESSAGES = 160;

interface Trial {
  readonly perSecond: number;
  /** CPU seconds of the filters for 1,000 messages. */
  readonly cpu: number;
  readonly mebibytes: number;
}

/** A chain that runs behind Postfix. */
class Setup implements AsyncDisposable {
  readonly #parts: AsyncDisposable[] = [];
  readonly #programs: Running[] = [];
  mta!: Mta;

  static async start(world: World, { filters, policy }: Chain): Promise<Setup> {
    const setup = new Setup();
    try {
      for (const make of filters) await setup.#run(world, make);
      const milters = setup.#programs.map(({ socket }) => `unix:${socket}`);
      const asked = policy && (await setup.#run(world, policy));
      const restrictions = ['smtpd_data_restrictions = check_client_access static:HOLD'];
      if (asked) restrictions.push(`smtpd_sender_restrictions = check_policy_service unix:${asked.socket}`);
      setup.mta = await startPostfix({
        sinkPort: await freePort(), // nobody listens there: nothing is delivered
        filters: { unix: milters },
        extraConfig: restrictions.join('\n'),
      });
      setup.#parts.push(setup.mta);
      return setup;
    } catch (error) {
      await setup[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #run(world: World, make: Chain['filters'][number]): Promise<Running> {
    const program = await Running.start((directory) => make(world, directory), world.dns);
    this.#programs.push(program);
    this.#parts.push(program);
    return program;
  }

  /** The CPU seconds of its programs so far, and the MiB that they take. @throws if one has ended */
  get used(): { readonly cpu: number; readonly mebibytes: number } {
    for (const program of this.#programs) program.check();
    const sum = (of: (program: Running) => number) =>
      this.#programs.reduce((total, program) => total + of(program), 0);
    return { cpu: sum(({ cpu }) => cpu), mebibytes: sum(({ mebibytes }) => mebibytes) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const part of this.#parts.reverse()) await part[Symbol.asyncDispose]();
  }
}

async function measure(
  world: World,
  row: ChainRow,
  chain: Chain,
  messages: readonly Buffer[],
): Promise<Trial> {
  await using setup = await Setup.start(world, chain);
  const { mta } = setup;
  await greet(mta, messages[0] as Buffer);
  // Once before: a filter runs for months, and V8 compiles in its first seconds.
  await send(mta, messages);
  const before = setup.used;
  const begin = performance.now();
  await send(mta, messages);
  const seconds = (performance.now() - begin) / 1_000;
  const { cpu, mebibytes } = setup.used;
  checkHeld(mta, 1 + 2 * messages.length, row, chain);
  return {
    perSecond: messages.length / seconds,
    cpu: ((cpu - before.cpu) / messages.length) * 1_000,
    mebibytes,
  };
}

/** A session from the world's client. */
async function open(mta: Mta): Promise<SmtpClient> {
  const { host, port } = mta.endpoints.unix;
  const client = await SmtpClient.open(host, port);
  await client.command(`XCLIENT ADDR=${CLIENT.address} NAME=${CLIENT.name}`);
  await client.command(`EHLO ${CLIENT.name}`);
  return client;
}

const envelope = (data: Buffer) => ({ from: SENDER, to: 'bob@dest.test', data });

/** Sends the first message until it is accepted: it may be greylisted. */
async function greet(mta: Mta, message: Buffer): Promise<void> {
  const client = await open(mta);
  for (let tries = 1; ; tries++) {
    const { last } = await client.send(envelope(message));
    if (last.code === 250) break;
    if (tries === 10) throw new Error(`the first message is not accepted: ${last.text}`);
    await client.command('RSET');
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  await client.quit();
}

async function send(mta: Mta, messages: readonly Buffer[]): Promise<void> {
  const left = messages.values();
  const session = async () => {
    const client = await open(mta);
    for (const message of left) {
      const { last } = await client.send(envelope(message));
      if (last.code !== 250) throw new Error(`a message is not accepted: ${last.text}`);
    }
    await client.quit();
  };
  await Promise.all(Array.from({ length: SESSIONS }, session));
}

/** Every message must be there, with what the filters add. */
function checkHeld(mta: Mta, count: number, { marks }: ChainRow, { name }: Chain): void {
  const folder = join(mta.queueDir, 'hold');
  const held = readdirSync(folder);
  if (held.length !== count) throw new Error(`${name}: ${held.length} messages of ${count} in the queue`);
  const complete = (file: string) => {
    const text = readFileSync(join(folder, file), 'latin1');
    return marks.every((mark) => mark.test(text));
  };
  const without = held.find((file) => !complete(file));
  if (without !== undefined)
    throw new Error(
      `${name}: a message lacks one of ${marks.join(', ')}:\n${readFileSync(join(folder, without), 'latin1').slice(-2_000)}`,
    );
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '5' },
      quick: { type: 'boolean', default: false },
      only: { type: 'string', multiple: true },
    },
  });
  const rounds = values.quick ? 1 : wholeNumber('rounds', values.rounds);
  await using world = await World.create();
  const count = values.quick ? QUICK_MESSAGES : MESSAGES;
  const messages = await Promise.all(Array.from({ length: count }, (_, nth) => world.message(nth)));
  for (const row of rows.filter(({ name }) => values.only?.includes(name) ?? true)) {
    console.log(`\n${row.title}; ${count} messages, ${SESSIONS} sessions`);
    const trials = row.chains.map((): Trial[] => []);
    for (let round = 0; round < rounds; round++) {
      for (const [at, chain] of row.chains.entries())
        trials[at]?.push(await measure(world, row, chain, messages));
    }
    report(row, trials);
  }
}

function report({ chains }: ChainRow, trials: readonly Trial[][]): void {
  const of = (at: number, field: keyof Trial) => median((trials[at] ?? []).map((trial) => trial[field]));
  console.log(
    `${''.padEnd(40)}${['messages/s', 'ms of CPU each', 'MiB'].map((title) => title.padStart(16)).join('')}`,
  );
  for (const [at, { name }] of chains.entries()) {
    const figures = [
      of(at, 'perSecond').toFixed(0),
      of(at, 'cpu').toFixed(2),
      of(at, 'mebibytes').toFixed(0),
    ];
    console.log(`${name.padEnd(40)}${figures.map((figure) => figure.padStart(16)).join('')}`);
  }
}

void main();
