/** Brings a session to the handler that a test is about. */
import type { EomResponse, MtaSession, Response } from 'tsmilter/testing';

type Drive = (mta: MtaSession) => Promise<Response | EomResponse>;

/** The steps up to the end of a message, by their handlers' names, in order. */
const WAY: readonly (readonly [handler: string, drive: Drive])[] = [
  ['connect', (mta) => mta.connect('client.example', { family: 'inet', address: '192.0.2.1', port: 40000 })],
  ['hello', (mta) => mta.helo('client.example')],
  ['envfrom', (mta) => mta.mail('<alice@client.example>')],
  ['envrcpt', (mta) => mta.rcpt('<bob@example.com>')],
  ['data', (mta) => mta.data()],
  ['header', (mta) => mta.header('Subject', 'test')],
  ['eoh', (mta) => mta.eoh()],
  ['body', (mta) => mta.body('a line\r\n')],
  ['eom', (mta) => mta.eom()],
];

/** Handlers of steps whose answers are kept for the end of the message, unless `immediate`. */
export const DEFERRED_HANDLERS = ['header', 'eoh', 'body'] as const;
/** Handlers whose answers are given at once, always. */
export const PROMPT_HANDLERS = ['connect', 'hello', 'envfrom', 'envrcpt', 'data', 'eom', 'unknown'] as const;

/** Sends every step of a message up to and with the one that `handler` handles; resolves to that one's response. */
export async function driveTo(mta: MtaSession, handler: string): Promise<Response> {
  let last: Response = { verdict: 'skipped' };
  for (const [name, drive] of WAY) {
    if (handler === 'unknown' && name === 'envfrom') return mta.unknown('XYZZY');
    last = await drive(mta);
    if (name === handler) return withoutChanges(last);
  }
  throw new Error(`no step calls ${handler}`);
}

/** As {@link driveTo}, and on to the end of the message where the answer is kept until then. */
export async function verdictOf(mta: MtaSession, handler: string): Promise<Response> {
  const response = await driveTo(mta, handler);
  const from = WAY.findIndex(([name]) => name === handler);
  if (!(DEFERRED_HANDLERS as readonly string[]).includes(handler)) return response;
  if (response.verdict !== 'continue' && response.verdict !== 'noreply') return response;
  let last: Response = response;
  for (const [, drive] of WAY.slice(from + 1)) last = await drive(mta);
  return withoutChanges(last);
}

function withoutChanges(response: Response | EomResponse): Response {
  const { modifications, progress, ...rest } = response as Partial<EomResponse>;
  void modifications;
  void progress;
  return rest as Response;
}
