/** The system's DNS servers: /etc/resolv.conf (resolv.conf(5)), which is read again when it changes. */
import { readFileSync, statSync } from 'node:fs';
import { parseServer, type ServerAddress } from './servers.js';

/** Which servers are asked, and how. */
export interface ResolverConfiguration {
  readonly servers: readonly ServerAddress[];
  /** Milliseconds to wait for an answer from one server. */
  readonly timeout: number;
  /** How many times each server is asked. */
  readonly tries: number;
  /** Whether each question begins with another server. */
  readonly rotate: boolean;
  /** Whether all questions are sent over TCP. */
  readonly tcp: boolean;
}

export const DEFAULT_TIMEOUT = 2000;
export const DEFAULT_TRIES = 2;
/** Upper limits of the C library. */
const MAX_TIMEOUT = 30;
const MAX_TRIES = 5;
/** If no server is configured, the resolver is on this host. */
const LOCAL: ServerAddress = { address: '127.0.0.1', port: 53 };

/**
 * Parses resolv.conf. What is invalid is ignored, as in the C library. Of the options, `timeout`, `attempts`, `rotate` and
 * `use-vc` matter here: EDNS is used in any case, and names are always complete, so that `ndots` and `search` have no effect,
 * as in the resolve functions of node:dns.
 *
 * @param environment the value of RES_OPTIONS, which takes precedence over the file
 */
export function parseResolvConf(text: string, environment = ''): ResolverConfiguration {
  const servers: ServerAddress[] = [];
  const options = new Map<string, string>();
  const setOptions = (words: readonly string[]) => {
    for (const word of words) {
      const [name = '', value = ''] = word.split(':');
      options.set(name, value);
    }
  };
  for (const line of text.split('\n')) {
    const [keyword, ...words] = (line.split(/[#;]/, 1)[0] as string).trim().split(/\s+/);
    const server = keyword === 'nameserver' ? parseServer(words[0] ?? '') : undefined;
    if (server !== undefined) servers.push(server);
    if (keyword === 'options') setOptions(words);
  }
  setOptions(environment.split(/\s+/));
  return {
    servers: servers.length > 0 ? servers : [LOCAL],
    timeout: numberOf(options.get('timeout'), DEFAULT_TIMEOUT / 1000, MAX_TIMEOUT) * 1000,
    tries: numberOf(options.get('attempts'), DEFAULT_TRIES, MAX_TRIES),
    rotate: options.has('rotate'),
    tcp: options.has('use-vc'),
  };
}

function numberOf(text: string | undefined, defaultValue: number, max: number): number {
  const number = /^\d{1,9}$/.test(text ?? '') ? Number(text) : 0;
  return number > 0 ? Math.min(number, max) : defaultValue;
}

/** The configuration in a file. */
export class ResolvConf {
  readonly #path: string;
  #version = '';
  #configuration: ResolverConfiguration | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /**
   * Reads the file again if it has changed. A file that cannot be read is like an empty one.
   *
   * It is read synchronously, as in the C library: it is small and local, and looking whether it has changed takes microseconds.
   */
  get current(): ResolverConfiguration {
    const version = this.#versionNow();
    if (this.#configuration === undefined || version !== this.#version) {
      this.#configuration = parseResolvConf(this.#read(), process.env.RES_OPTIONS);
      this.#version = version;
    }
    return this.#configuration;
  }

  #versionNow(): string {
    try {
      const { dev, ino, size, mtimeNs, ctimeNs } = statSync(this.#path, { bigint: true });
      return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
    } catch {
      return 'none';
    }
  }

  #read(): string {
    try {
      return readFileSync(this.#path, 'latin1');
    } catch {
      return '';
    }
  }
}
