/** What the configuration file says. The whole file is checked before the filter starts. */
import { ConfigError } from '../shared/config-error';
import { ConfigFile, type SectionValues } from '../shared/config-file';
import { nameservers } from '../shared/dns';
import { milterOptions } from '../shared/milter-options';
import { networks } from '../shared/networks';
import { list, type Option, path, text } from '../shared/options';

const DOMAIN = /^(?=.{1,253}$)[a-z0-9_-]+(?:\.[a-z0-9_-]+)+$/i;

const forwarders = list(
  'domains whose servers forward mail with its original sender; each may cost a check, so keep the list short',
);
const trustedForwarder: Option<readonly string[]> = {
  ...forwarders,
  async read(value, context) {
    const found = await forwarders.read(value, context);
    const invalid = found.find((name) => !DOMAIN.test(name));
    if (invalid === undefined) return found;
    throw new ConfigError(`${invalid} is not a domain such as example.com`);
  },
};

export const OPTIONS = {
  milter: {
    ...milterOptions('spfmilter'),
    internal_connect: networks('internal clients: a list for [iniplist](utils.md#iniplist), host names too'),
    trusted_relay: networks(
      'relays that have already checked the mail, such as a secondary MX; the same kind of list',
    ),
  },
  spf: {
    access_file: path(
      'the access map: source text, or compiled ([policy.md](policy.md#files)), relative to the configuration file; empty: the default policies apply to all',
    ),
    access_file_nulls: text("accepted for compatibility with pymilter's files; it has no effect"),
    trusted_forwarder: trustedForwarder,
    nameservers,
  },
};

export type Config = SectionValues<typeof OPTIONS>;

/**
 * Reads the configuration file.
 *
 * @throws ConfigError, or MilterError ERR_MILTER_CONFIG for a file that is not well-formed
 */
export async function readConfig(file: string): Promise<Config> {
  const config = new ConfigFile(file, OPTIONS, 'examples/spfmilter/spfmilter.cfg');
  return await config.sections(OPTIONS, { directory: config.directory });
}
