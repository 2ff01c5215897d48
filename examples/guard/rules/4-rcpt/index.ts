/** Rules about a recipient, in the order in which they are asked. */
import type { AnyRule } from '../../rule';
import { greylist } from './greylist';
import { honeypot } from './honeypot';
import { knownUsers } from './known-users';
import { maxDemerits } from './max-demerits';
import { privateRelay } from './private-relay';
import { rateLimit } from './rate-limit';
import { signedBounce } from './signed-bounce';

export const rcptRules: readonly AnyRule[] = [
  maxDemerits,
  privateRelay,
  honeypot,
  signedBounce,
  knownUsers,
  rateLimit,
  greylist,
];
