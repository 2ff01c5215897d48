/**
 * Domains and HELO names for spfmilter, as DNS and the access map know them: `reject.fail.test` has an SPF record that makes
 * its clients fail, and the policy REJECT for that.
 */
import type { SpfResultName } from 'tsmilter/spf';
import type { Records, Zone } from '../../tools/dns-server';

/** For clients on 127.0.0.0/24 and ::1. */
const RECORDS: Readonly<Record<SpfResultName, Records>> = {
  pass: { TXT: ['v=spf1 ip4:127.0.0.0/24 ip6:::1 -all'] },
  fail: { TXT: ['v=spf1 -all'] },
  softfail: { TXT: ['v=spf1 ~all'] },
  neutral: { TXT: ['v=spf1 ?all'] },
  none: { A: ['192.0.2.1'] },
  temperror: { fault: 'SERVFAIL' },
  permerror: { TXT: ['v=spf1 not-a-mechanism -all'] },
};

export const results = Object.keys(RECORDS) as SpfResultName[];

/** The values of the access map by the first label of the name; null: there is no entry. */
export const policies = {
  default: null,
  ok: 'OK',
  continue: 'continue',
  reject: 'REJECT',
  tempfail: 'TEMPFAIL',
  error5: 'ERROR:5.7.9:"554 not here, 100% sure"',
  error4: 'ERROR:450 4.7.8 come back later',
  misspelt: 'REJCET',
} as const;

export type PolicyName = keyof typeof policies;
export const policyNames = Object.keys(policies) as PolicyName[];

export function nameFor(policy: PolicyName, result: SpfResultName): string {
  return `${policy}.${result}.test`;
}

/** `SPF-Fail`. */
export function keyFor(prefix: 'SPF' | 'HELO', result: SpfResultName): string {
  return `${prefix}-${result.slice(0, 1).toUpperCase()}${result.slice(1)}`;
}

/** All names. */
export function zoneOfCases(): Zone {
  return Object.fromEntries(
    results.flatMap((result) => policyNames.map((policy) => [nameFor(policy, result), RECORDS[result]])),
  );
}

/** Lines of the access map, for senders and HELO names alike. */
export function accessOfCases(): string[] {
  return results.flatMap((result) =>
    policyNames.flatMap((policy) => {
      const value = policies[policy];
      if (value === null) return [];
      return (['SPF', 'HELO'] as const).map(
        (prefix) => `${keyFor(prefix, result)}:${nameFor(policy, result)}\t${value}`,
      );
    }),
  );
}

/** RFC 3463 details of a refusal by what was found. */
function detailOf(result: SpfResultName): string {
  return { permerror: '5.2', temperror: '4.3' }[result as string] ?? '7.1';
}

/** What a name is refused with: the codes, or the whole reply where it is the administrator's; null where it is not. */
export function refusalFor(prefix: 'SPF' | 'HELO', policy: PolicyName, result: SpfResultName): string | null {
  switch (policy) {
    case 'ok':
    case 'continue':
      return null;
    case 'reject':
      return `550 5.${detailOf(result)}`;
    case 'tempfail':
      return `451 4.${detailOf(result)}`;
    case 'error5':
      return '554 5.7.9 not here, 100% sure';
    case 'error4':
      return '450 4.7.8 come back later';
    default:
      if (result === 'fail') return '550 5.7.1';
      if (prefix === 'HELO') return null;
      return { permerror: '550 5.5.2', temperror: '451 4.4.3' }[result as string] ?? null;
  }
}
