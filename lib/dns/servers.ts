/** DNS servers, and what is remembered of them in this thread: those that fail are asked last, over all sessions. */
import { isIP } from 'node:net';

/** The address of a DNS server. */
export interface ServerAddress {
  /** An IP address; a link-local one has its zone, as in `fe80::1%eth0`. */
  readonly address: string;
  readonly port: number;
}

/**
 * @param text an address with or without a port: `192.0.2.53`, `192.0.2.53:5353`, `fe80::1%eth0`, `[2001:db8::53]:5353`
 * @returns undefined if it is none
 */
export function parseServer(text: string): ServerAddress | undefined {
  if (isIP(text) !== 0) return { address: text, port: 53 };
  const [, bracketed, plain, port = '53'] = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const address = bracketed ?? plain ?? '';
  const number = Number(port);
  const valid = isIP(address) === (bracketed === undefined ? 4 : 6) && number >= 1 && number <= 65535;
  return valid ? { address, port: number } : undefined;
}

/** After this time, a question that another server answers is also sent to one that has failed, to find out whether it is back. */
const PROBE_DELAY = 5000;
/** How long a server is asked without EDNS that has answered only such a question. */
const PLAIN_TIME = 300_000;

/** A server, and how it has answered lately. Times are those of performance.now(), which is never set back. */
export class Server implements ServerAddress {
  readonly address: string;
  readonly port: number;
  #failures = 0;
  #probeAt = 0;
  #plainUntil = 0;

  constructor({ address, port }: ServerAddress) {
    this.address = address;
    this.port = port;
  }

  /** How many times it has failed since it last answered. */
  get failures(): number {
    return this.#failures;
  }

  /** Whether it is asked with EDNS. */
  get edns(): boolean {
    return performance.now() >= this.#plainUntil;
  }

  answered(): void {
    this.#failures = 0;
  }

  failed(): void {
    this.#failures++;
    this.#probeAt = performance.now() + PROBE_DELAY;
  }

  /** It has answered a question without EDNS after one with EDNS had failed. */
  failsWithEdns(): void {
    this.#plainUntil = performance.now() + PLAIN_TIME;
  }

  /** Whether it is time to find out if a server is back that has failed; if so, the caller does that. */
  takeProbe(): boolean {
    const due = this.#failures > 0 && performance.now() >= this.#probeAt;
    if (due) this.#probeAt = performance.now() + PROBE_DELAY;
    return due;
  }
}

/** More servers than any configuration has. If programs create them without end, the oldest are forgotten. */
const MAX_KNOWN = 1000;
const known = new Map<string, Server>();

function serverAt(at: ServerAddress): Server {
  const key = `${at.address} ${at.port}`;
  const server = known.get(key) ?? new Server(at);
  if (!known.has(key) && known.size >= MAX_KNOWN) known.delete(known.keys().next().value as string);
  known.set(key, server);
  return server;
}

/**
 * The servers in the order in which they are asked: those that have failed least first, otherwise as they are configured.
 *
 * @param first the index of the server to begin with, if all are equally good
 */
export function inOrder(servers: readonly ServerAddress[], first: number): Server[] {
  const start = first % servers.length;
  const rotated = [...servers.slice(start), ...servers.slice(0, start)];
  return rotated.map(serverAt).sort((one, other) => one.failures - other.failures);
}
