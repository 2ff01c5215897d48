/** Rules about the sender, in the order in which they are asked. */
import type { AnyRule } from '../../rule';
import { bannedSenders } from './banned-senders';
import { internalSender } from './internal-sender';
import { spf } from './spf';
import { spoofedSender } from './spoofed-sender';

export const mailRules: readonly AnyRule[] = [internalSender, spoofedSender, bannedSenders, spf];
