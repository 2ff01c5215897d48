/**
 * The HTTP server of a filter's metrics and health, in a thread of its own. It reads the health in shared memory, and asks the
 * filter's thread for the metrics.
 */
import { lstatSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { type MessagePort, workerData } from 'node:worker_threads';
import { type Health, SharedHealth } from './health.js';
import type { MetricsAddress } from './options.js';

/** `workerData` of the thread. */
export interface ServerStart {
  readonly address: MetricsAddress;
  readonly health: SharedArrayBuffer;
  /** For ServerMessages and ScrapeReplies; parentPort is the application's, which gets the Worker from the event `worker`. */
  readonly port: MessagePort;
}

/** From the thread: it listens (the port; 0 for a path), or cannot; a request for the metrics. */
export type ServerMessage =
  | { readonly listening: number }
  | { readonly failed: { readonly code: string; readonly message: string } }
  | 'scrape';

/** To the thread, for each 'scrape': the metrics; null if they cannot be had. */
export interface ScrapeReply {
  readonly text: string | null;
  readonly contentType: string;
}

/** Milliseconds to wait for the metrics, and for a client's request. */
const SCRAPE_TIMEOUT = 4_000;
const REQUEST_TIMEOUT = 5_000;
/** Milliseconds between two looks for clients that have exceeded it. Node's default is 30 s. */
const REQUEST_CHECKS = 1_000;
const MAX_CONNECTIONS = 32;

const { address, health: memory, port } = workerData as ServerStart;
const shared = new SharedHealth(memory);

const send = (message: ServerMessage): void => port.postMessage(message);

/** Those that wait for the scrape under way. */
const waiting = new Set<(reply: ScrapeReply | null) => void>();
let isUnderWay = false;

port.on('message', (reply: ScrapeReply) => {
  isUnderWay = false;
  for (const settle of waiting) settle(reply);
});

/**
 * All requests share the scrape that is under way, also after a timeout, which does not take it back: however many requests clients send,
 * the filter's thread has one to answer.
 */
function scrape(): Promise<ScrapeReply | null> {
  if (!isUnderWay) send('scrape');
  isUnderWay = true;
  return new Promise((resolve) => {
    const timer = setTimeout(() => settle(null), SCRAPE_TIMEOUT);
    const settle = (reply: ScrapeReply | null) => {
      clearTimeout(timer);
      waiting.delete(settle);
      resolve(reply);
    };
    waiting.add(settle);
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
  {
    requestTimeout: REQUEST_TIMEOUT,
    headersTimeout: REQUEST_TIMEOUT,
    connectionsCheckingInterval: REQUEST_CHECKS,
  },
  (request, response) => {
    void handle(request, response);
  },
);

/** Oldest first. The oldest makes room for a new one, because clients that send or read nothing must not keep out a check of the health. */
const connections = new Set<Socket>();
server.on('connection', (socket) => {
  connections.add(socket);
  socket.once('close', () => connections.delete(socket));
  const [oldest] = connections;
  if (!oldest || connections.size <= MAX_CONNECTIONS) return;
  connections.delete(oldest);
  oldest.destroy();
});

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
