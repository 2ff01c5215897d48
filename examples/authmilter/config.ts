/** What the configuration file says, checked as far as that is possible without the files that it names. */
import { ConfigFile, type SectionValues } from '../shared/config-file';
import type { DnsSettings } from '../shared/dns';
import { OPTIONS } from './options';

export type Config = SectionValues<typeof OPTIONS>;

/**
 * Reads the configuration file.
 *
 * @throws ConfigError, or MilterError ERR_MILTER_CONFIG for a file that is not well-formed
 */
export async function readConfig(file: string): Promise<Config> {
  const from = new ConfigFile(file, OPTIONS, 'examples/authmilter/authmilter.cfg');
  const config = await from.sections(OPTIONS, { directory: from.directory });
  checkTogether(config, from);
  return config;
}

/** What DNS may be asked for one message. */
export function dnsOf({ verify }: Pick<Config, 'verify'>): DnsSettings {
  return { nameservers: verify.nameservers, max_lookups: verify.max_lookups, max_time: verify.dns_time };
}

/** Options that need others beside them. */
function checkTogether({ reports, srs, arc }: Config, from: ConfigFile): void {
  if (reports.store !== null && (reports.org_name === null || reports.email === null))
    throw from.error('reports', 'store', 'needs org_name and email beside it');
  if (srs.domain !== null && srs.secrets_file === null)
    throw from.error('srs', 'secrets_file', 'is missing; it is needed with [srs] domain');
  if (arc.domain !== null && (arc.selector === null || arc.key_file === null))
    throw from.error('arc', 'domain', 'needs selector and key_file beside it');
}
