/** Clients that have logged in, without a database of users. */
import { expect } from '@jest/globals';
import type { SmtpClient } from '../../../tools/mta';
import type { Kind } from './mta-fixture';

/**
 * Lines for `extraConfig` of Sendmail, which cannot be made to know users here without SASL's files: it says that a client
 * from this address has logged in as what it says in HELO.
 */
export function loginByAddress(address: string): string {
  return [
    'LOCAL_CONFIG',
    'Klogin macro',
    'LOCAL_RULESETS',
    'SLocal_check_mail',
    'R$*\t$: $1 $| $&{client_addr}',
    `R$* $| ${address}\t$: $1 $(login {auth_authen} $@ $&s $) $(login {auth_type} $@ PLAIN $)`,
    'R$* $| $*\t$: $1',
    'divert(0)dnl',
  ].join('\n');
}

/** Begins a session of a user; the client comes from the address of {@link loginByAddress}. */
export async function logIn(
  client: SmtpClient,
  kind: Kind,
  user: string,
  helo = 'client.test',
): Promise<void> {
  // Postfix takes the user's word for it (XCLIENT), Sendmail the rules above.
  if (kind === 'postfix') {
    expect((await client.command(`XCLIENT ADDR=192.0.2.99 LOGIN=${user}`)).code).toBe(220);
    expect((await client.command(`EHLO ${helo}`)).code).toBe(250);
  } else {
    expect((await client.command(`EHLO ${user}`)).code).toBe(250);
  }
}
