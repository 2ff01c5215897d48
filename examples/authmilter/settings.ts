/** The configuration with all that it names, read as a whole: either all of it counts, or nothing. */

import { readPrivateFile } from 'tsmilter/config';
import type { DkimSignerOptions } from 'tsmilter/dkim';
import { Srs } from 'tsmilter/srs';
import { type Config, readConfig } from './config';
import { ConfigError } from './options';
import { addressPattern, asciiDomain, type Pattern } from './pattern';
import { SigningTable } from './signing-table';

export interface Settings extends Config {
  readonly signingTable: SigningTable;
  readonly signing: Omit<DkimSignerOptions, 'keys'>;
  /** Null if no sender is rewritten. */
  readonly forwarding: Forwarding | null;
  /** Every file of which something was read. */
  readonly files: readonly string[];
}

/** Whose mail leaves this host again, and how its sender is then written. */
export interface Forwarding {
  readonly srs: Srs;
  readonly isForwarded: (recipient: string) => boolean;
}

/** @throws ConfigError or MilterError: the message says which file is wrong, and how */
export async function readSettings(file: string): Promise<Settings> {
  const config = await readConfig(file);
  const { sign, srs } = config;
  const signingTable =
    sign.table === null ? SigningTable.EMPTY : await SigningTable.read(sign.table, sign.keyMode);
  return {
    ...config,
    signingTable,
    signing: signingOptions(config),
    forwarding: await readForwarding(config),
    files: [file, ...[sign.table, srs.secretsFile].filter((name) => name !== null), ...signingTable.keyFiles],
  };
}

function signingOptions({ sign }: Config): Omit<DkimSignerOptions, 'keys'> {
  return {
    canonicalization: sign.canonicalization,
    bodyLength: sign.bodyLength,
    leadingSpace: true, // the filter negotiates it
    ...(sign.headers.length > 0 && { headers: sign.headers }),
    ...(sign.oversign.length > 0 && { oversign: sign.oversign }),
    ...(sign.expiresIn > 0 && { expiresIn: sign.expiresIn }),
  };
}

async function readForwarding({ srs }: Config): Promise<Forwarding | null> {
  const { domain, secretsFile, ownDomains, maxAge } = srs;
  if (domain === null || secretsFile === null) return null;
  const lines = (await readPrivateFile(secretsFile, { maxMode: 0o640 })).toString('utf8').split('\n');
  const secrets = lines.map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#'));
  if (secrets.length === 0) throw new ConfigError(`${secretsFile}: has no secret: write one into each line`);
  const localDomains = srs.localDomains.map(asciiDomain);
  return {
    srs: new Srs({ secrets, domain, ownDomains: [...ownDomains, ...localDomains], maxAge }),
    isForwarded: forwardedOf(localDomains, srs.forwarded.map(addressPattern)),
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
