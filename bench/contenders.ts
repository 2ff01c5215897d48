/** The contenders: the same filter in C, in pymilter and in this package, as programs. */
import { join } from 'node:path';

/** The filters, or `none` for an MTA without one. */
export type Peer = 'c' | 'c-in-node' | 'js-in-node' | 'pymilter' | 'tsmilter' | 'none';

/** One filter in one of its variants. */
export interface Contender {
  /** Its name in rows, targets and results. */
  readonly name: string;
  readonly peer: Peer;
  /** The second argument of the program: see bench/peers. */
  readonly variant: string;
  /** The kind of its socket. Default: `unix`. */
  readonly socket?: 'unix' | 'inet';
  /** Whether a program of Node's loads this package and its filter first, and does not use them. */
  readonly loaded?: boolean;
}

/** The work of the filter in eom, in milliseconds. */
export interface Work {
  /** Waiting: awaited in ours, usleep in C, time.sleep in pymilter. */
  readonly wait?: number;
  /** CPU time. */
  readonly burn?: number;
}

/** A command line. */
export interface Command {
  readonly command: string;
  readonly args: string[];
}

/** pymilter comes as a Debian package, for the system's own Python. */
export const PYTHON = '/usr/bin/python3';

/**
 * The program of a contender on a socket. All take the same arguments.
 * @param root the project's folder
 */
export function commandOf(contender: Contender, root: string, socket: string, work: Work): Command {
  const args = [socket, contender.variant, String(work.wait ?? 0), String(work.burn ?? 0)];
  switch (contender.peer) {
    case 'c':
      return { command: join(root, '.build/bench/peers/c-filter'), args };
    case 'c-in-node':
    case 'js-in-node': {
      const first = contender.loaded ? ['--require', join(root, '.build/bench/peers/filter.js')] : [];
      return {
        command: process.execPath,
        args: [...first, join(root, `.build/bench/peers/${contender.peer}.js`), ...args],
      };
    }
    case 'pymilter':
      return { command: PYTHON, args: [join(root, 'bench/peers/filter.py'), ...args] };
    case 'tsmilter':
      return { command: process.execPath, args: [join(root, '.build/bench/peers/main.js'), ...args] };
    case 'none':
      throw new Error(`${contender.name} is not a program`);
  }
}

const C = { name: 'C', peer: 'c', variant: 'plain' } as const;
const C_NOREPLY = { name: 'C, no reply', peer: 'c', variant: 'noreply' } as const;
const C_HEADERS = { name: 'C, our replies', peer: 'c', variant: 'headers' } as const;
const C_ONE = { name: 'C, one thread', peer: 'c', variant: 'one-thread' } as const;
const C_ONE_EACH = { name: 'C, one thread, immediate', peer: 'c', variant: 'one-thread-each' } as const;
const C_ONE_NOREPLY = { name: 'C, one thread, no reply', peer: 'c', variant: 'one-thread-noreply' } as const;
const C_NODE = { name: "C on Node's thread", peer: 'c-in-node', variant: 'one-thread' } as const;
const C_NODE_LOADED = { ...C_NODE, name: "C on Node's thread, package loaded", loaded: true } as const;
const C_NODE_NOREPLY = {
  name: "C on Node's thread, no reply",
  peer: 'c-in-node',
  variant: 'one-thread-noreply',
} as const;
const JS_NODE = { name: 'bare JavaScript', peer: 'js-in-node', variant: 'one-thread' } as const;
const JS_NODE_FRESH = {
  name: 'bare JavaScript, memory for each message',
  peer: 'js-in-node',
  variant: 'one-thread-fresh',
} as const;
const JS_NODE_NOREPLY = {
  name: 'bare JavaScript, no reply',
  peer: 'js-in-node',
  variant: 'one-thread-noreply',
} as const;
const C_NOOP = { name: 'C, no handler', peer: 'c', variant: 'noop' } as const;
const PYMILTER = { name: 'pymilter', peer: 'pymilter', variant: 'plain' } as const;
const PYMILTER_NOREPLY = { name: 'pymilter, no reply', peer: 'pymilter', variant: 'noreply' } as const;
const MILTER = { name: 'tsmilter', peer: 'tsmilter', variant: 'plain' } as const;
const MILTER_NOREPLY = { name: 'tsmilter, no reply', peer: 'tsmilter', variant: 'noreply' } as const;
const IMMEDIATE = { name: 'tsmilter, immediate', peer: 'tsmilter', variant: 'immediate' } as const;
const WORKER_1 = { name: 'tsmilter, 1 worker', peer: 'tsmilter', variant: 'workers-1' } as const;
const WORKERS_2 = { name: 'tsmilter, 2 workers', peer: 'tsmilter', variant: 'workers-2' } as const;
const WORKERS_2_NOREPLY = {
  name: 'tsmilter, 2 workers, no reply',
  peer: 'tsmilter',
  variant: 'workers-2-noreply',
} as const;
const C_EOM = { name: 'C, eom only', peer: 'c', variant: 'eom' } as const;
const PYMILTER_EOM = { name: 'pymilter, eom only', peer: 'pymilter', variant: 'eom' } as const;
const MILTER_EOM = { name: 'tsmilter, eom only', peer: 'tsmilter', variant: 'eom' } as const;
const NONE = { name: 'no filter', peer: 'none', variant: 'plain' } as const;

/** All of them, by a short name. */
export const contenders = {
  C,
  C_NOREPLY,
  C_HEADERS,
  C_ONE,
  C_ONE_EACH,
  C_ONE_NOREPLY,
  C_NODE,
  C_NODE_LOADED,
  C_NODE_NOREPLY,
  JS_NODE,
  JS_NODE_FRESH,
  JS_NODE_NOREPLY,
  C_NOOP,
  PYMILTER,
  PYMILTER_NOREPLY,
  MILTER,
  MILTER_NOREPLY,
  IMMEDIATE,
  WORKER_1,
  WORKERS_2,
  WORKERS_2_NOREPLY,
  C_EOM,
  PYMILTER_EOM,
  MILTER_EOM,
  NONE,
} as const;

/** The same filter on a TCP socket. */
export function onInet(contender: Contender): Contender {
  return { ...contender, name: `${contender.name}, inet`, socket: 'inet' };
}
