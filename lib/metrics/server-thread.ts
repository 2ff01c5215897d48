/**
 * The HTTP server of a filter's metrics and health, in a thread of its own. It reads the health in shared memory, and asks the
 * filter's thread for the metrics.
 */
import { lstatSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';
import { type Health, SharedHealth } from './health.js';
import type { MetricsAddress } from './options.js';

/** `workerData` of the thread. */
export interface ServerStart {
  readonly address: MetricsAddress;
  readonly health: SharedArrayBuffer;
}

/** From the thread: it listens (the port; 0 for a path), or cannot; a request for the metrics. */
export type ServerMessage =
  | { readonly listening: number }
  | { readonly failed: { readonly code: string; readonly message: string } }
  | { readonly scrape: number };

/** To the thread: the metrics, by the number of the request; null if they cannot be had. */
export interface ScrapeReply {
  readonly scrape: number;
  readonly text: string | null;
  readonly contentType: string;
}

/** Milliseconds to wait for the metrics, and for a client's request. */
const SCRAPE_TIMEOUT = 4_000;
const REQUEST_TIMEOUT = 5_000;
const MAX_CONNECTIONS = 32;

const port = parentPort as NonNullable<typeof parentPort>;
const { address, health: memory } = workerData as ServerStart;
const shared = new SharedHealth(memory);
const waiting = new Map<number, (reply: ScrapeReply | null) => void>();
let scrapes = 0;

const send = (message: ServerMessage): void => port.postMessage(message);

port.on('message', (reply: ScrapeReply) => waiting.get(reply.scrape)?.(reply));

function scrape(): Promise<ScrapeReply | null> {
  const number = ++scrapes;
  return new Promise((resolve) => {
    const timer = setTimeout(() => settle(null), SCRAPE_TIMEOUT);
    const settle = (reply: ScrapeReply | null) => {
      clearTimeout(timer);
      waiting.delete(number);
      resolve(reply);
    };
    waiting.set(number, settle);
    send({ scrape: number });
  });
}

function respond(
  response: ServerResponse,
  status: number,
  text: string,
  type = 'text/plain; charset=utf-8',
): void {
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' });
  response.end(text);
}

function respondHealth(response: ServerResponse, problems: Health['broken']): void {
  respond(
    response,
    problems.length === 0 ? 200 : 503,
    problems.length === 0 ? 'ok\n' : `${problems.join('\n')}\n`,
  );
}

async function respondMetrics(response: ServerResponse): Promise<void> {
  const reply = await scrape();
  if (reply?.text) respond(response, 200, reply.text, reply.contentType);
  else respond(response, 503, 'the filter does not answer\n');
}

async function handle({ method, url = '' }: IncomingMessage, response: ServerResponse): Promise<void> {
  if (method !== 'GET' && method !== 'HEAD') {
    respond(response, 405, 'GET only\n');
    return;
  }
  switch (url.split('?', 1)[0]) {
    case '/metrics':
      await respondMetrics(response);
      break;
    case '/healthz':
      respondHealth(response, shared.health.broken);
      break;
    case '/readyz':
      respondHealth(response, shared.health.unready);
      break;
    default:
      respond(response, 404, 'there are /metrics, /healthz and /readyz\n');
  }
}

const server = createServer(
  { requestTimeout: REQUEST_TIMEOUT, headersTimeout: REQUEST_TIMEOUT },
  (request, response) => {
    void handle(request, response);
  },
);
server.maxConnections = MAX_CONNECTIONS;

/** Whether a path is that of a socket that no process listens on. Another file refuses connections as well. */
function isStale(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    if (!lstatSync(path, { throwIfNoEntry: false })?.isSocket()) {
      resolve(false);
      return;
    }
    const probe = connect(path, () => {
      probe.destroy();
      resolve(false);
    });
    probe.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code === 'ECONNREFUSED'));
  });
}

function removed(path: string): boolean {
  try {
    rmSync(path, { force: true });
    return true;
  } catch {
    return false; // in a directory of another user: the error of listen() stands
  }
}

let retried = false;
server.on('error', async (error: NodeJS.ErrnoException) => {
  if (error.code === 'EADDRINUSE' && 'path' in address && !retried) {
    retried = true;
    if ((await isStale(address.path)) && removed(address.path)) {
      server.listen(address);
      return;
    }
  }
  send({ failed: { code: error.code ?? 'EIO', message: error.message } });
});
server.on('listening', () => {
  const bound = server.address() as AddressInfo | string;
  send({ listening: typeof bound === 'string' ? 0 : bound.port });
});
server.listen(address);
