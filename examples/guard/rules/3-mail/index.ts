/** Rules about the sender, in the order in which they are asked. */
import type { AnyRule } from '../../rule';
import { authSender } from './auth-sender';
import { autoWhitelist } from './auto-whitelist';
import { bannedSenders } from './banned-senders';
import { internalNullSender } from './internal-null-sender';
import { internalSender } from './internal-sender';
import { reputation } from './reputation';
import { spf } from './spf';
import { spoofedSender } from './spoofed-sender';

export const mailRules: readonly AnyRule[] = [
  internalSender,
  internalNullSender,
  authSender,
  spoofedSender,
  bannedSenders,
  spf,
  autoWhitelist,
  reputation,
];
