/** Rules about the client's address, in the order in which they are asked. */
import type { AnyRule } from '../../rule';
import { bannedIps } from './banned-ips';
import { dnsbl } from './dnsbl';
import { dynamicPtr } from './dynamic-ptr';
import { ptrLocalhost } from './ptr-localhost';

export const connectRules: readonly AnyRule[] = [bannedIps, ptrLocalhost, dynamicPtr, dnsbl];
