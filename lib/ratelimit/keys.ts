/** Whose points are counted together. */
import { digestOf } from '../internal/stores/digest.js';
import { lookupOf } from '../lists/names.js';
import { type ClientNetworks, clientNetwork } from '../utils/client-network.js';
import { readIp, textOf } from '../utils/ip.js';
import { foldText } from '../utils/spellings.js';

/** What a limit applies to: see {@link RateLimiter.consume}. */
export type LimitedBy = 'client' | 'account' | 'sender' | 'recipient';

export const LIMITED_BY: readonly LimitedBy[] = ['client', 'account', 'sender', 'recipient'];

/**
 * The key under which a store counts: a digest, which has the same length for all names, so that untrusted names cannot fill the
 * store, and does not reveal them. Spellings of the same name have the same key.
 */
export function keyOf(by: LimitedBy, name: string, networks: ClientNetworks): string {
  return digestOf(canonical(by, name, networks));
}

function canonical(by: LimitedBy, name: string, networks: ClientNetworks): string {
  if (by === 'account') return foldText(name);
  if (by === 'client') {
    const address = readIp(name);
    return address === undefined ? foldText(name) : clientNetwork(textOf(address), networks);
  }
  return lookupOf(name).keys[0] as string;
}
