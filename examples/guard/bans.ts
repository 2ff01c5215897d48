/** Addresses of clients that rules have banned for some days. */
import { mkdirSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { join } from 'node:path';
import { BanList } from 'tsmilter/lists';

export class Bans {
  readonly #list: BanList;

  constructor(list: BanList) {
    this.#list = list;
  }

  has(address: string): boolean {
    return this.#list.has(literal(address));
  }

  /** @param days how long, from now */
  ban(address: string, days: number): void {
    this.#list.add(literal(address), days);
  }
}

/** As an address stands in mail (RFC 5321 4.1.3). */
const literal = (address: string): string => (isIPv6(address) ? `[IPv6:${address}]` : `[${address}]`);

/** By directory: a new configuration must not forget what sessions of the old one are about to ban. */
const opened = new Map<string, Promise<Bans>>();

/** The bans that are kept in a directory, which is created if there is none. */
export function bansIn(directory: string): Promise<Bans> {
  const known = opened.get(directory);
  if (known) return known;
  const opening = open(directory);
  opened.set(directory, opening);
  opening.catch(() => opened.delete(directory));
  return opening;
}

async function open(directory: string): Promise<Bans> {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  return new Bans(await BanList.open({ file: join(directory, 'banned-ips') }));
}
