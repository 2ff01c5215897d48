/** The configuration with all that it names, read as a whole: either all of it counts, or nothing. */

import { ArcSealer } from 'tsmilter/arc';
import { type DkimKey, type DkimSignerOptions, readKeyFile } from 'tsmilter/dkim';
import { Srs } from 'tsmilter/srs';
import { asciiDomain } from 'tsmilter/utils';
import { readSecrets } from '../shared/secrets';
import { type Config, readConfig } from './config';
import { DmarcPolicies } from './dmarc-policies';
import { addressPattern, type Pattern } from './pattern';
import type { Forwarding } from './recipients';
import { SigningTable } from './signing-table';

export interface Settings extends Config {
  readonly signingTable: SigningTable;
  readonly signing: Omit<DkimSignerOptions, 'keys'>;
  /** Null if nothing is sealed. */
  readonly sealingKey: DkimKey | null;
  readonly dmarcPolicies: DmarcPolicies;
  readonly forwarding: Forwarding;
  /** Every file of which something was read. */
  readonly files: readonly string[];
}

/** @throws ConfigError or MilterError: the message says which file is wrong, and how */
export async function readSettings(file: string): Promise<Settings> {
  const config = await readConfig(file);
  const { sign, srs, arc, dmarc } = config;
  const signingTable =
    sign.signing_table === null
      ? SigningTable.EMPTY
      : await SigningTable.read(sign.signing_table, keyMode(config));
  const named = [sign.signing_table, srs.secrets_file, arc.key_file, dmarc.policies].filter(
    (name) => name !== null,
  );
  return {
    ...config,
    signingTable,
    signing: signingOptions(config),
    sealingKey: await readSealingKey(config),
    dmarcPolicies: await DmarcPolicies.read(dmarc.policies),
    forwarding: await readForwarding(config),
    files: [file, ...named, ...signingTable.keyFiles],
  };
}

function signingOptions({ sign }: Config): Omit<DkimSignerOptions, 'keys'> {
  return {
    canonicalization: sign.canonicalization,
    bodyLength: sign.body_length,
    leadingSpace: true, // the filter negotiates it
    ...(sign.headers.length > 0 && { headers: sign.headers }),
    ...(sign.oversign.length > 0 && { oversign: sign.oversign }),
    ...(sign.expires_in > 0 && { expiresIn: sign.expires_in }),
  };
}

/** Who may read the files of keys. */
const keyMode = ({ sign }: Config): number => (sign.keys_group_readable ? 0o640 : 0o600);

async function readSealingKey(config: Config): Promise<DkimKey | null> {
  const { domain, selector, key_file, seal } = config.arc;
  if (domain === null || selector === null || key_file === null || seal === 'never') return null;
  const key = { domain, selector, key: await readKeyFile(key_file, { maxMode: keyMode(config) }) };
  new ArcSealer({ key }); // checks the names
  return key;
}

async function readForwarding({ srs, forward }: Config): Promise<Forwarding> {
  const localDomains = forward.local_domains.map(asciiDomain);
  const isForwarded = forwardedOf(localDomains, forward.forwarded.map(addressPattern));
  const { domain, secrets_file, own_domains, max_age } = srs;
  if (domain === null || secrets_file === null) return { srs: null, isForwarded };
  const secrets = await readSecrets(secrets_file, { maxMode: 0o640 });
  return {
    srs: new Srs({ secrets, domain, ownDomains: [...own_domains, ...localDomains], maxAge: max_age }),
    isForwarded,
  };
}

/** Mail for these addresses leaves this host, and that for other domains than the local ones if these are known. */
function forwardedOf(
  localDomains: readonly string[],
  patterns: readonly Pattern[],
): (recipient: string) => boolean {
  const local = localDomains.map(addressPattern);
  return (recipient) =>
    patterns.some((matches) => matches(recipient)) ||
    (local.length > 0 && !local.some((matches) => matches(recipient)));
}
