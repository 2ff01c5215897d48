/** Secrets in files. */
import { readPrivateFile } from 'tsmilter/config';
import { ConfigError } from './config-error';

/**
 * The secrets in a file, one in each line without the white space around it, the newest first. Lines that begin with `#` are comments.
 *
 * @throws ConfigError for a file without any; as readPrivateFile of `tsmilter/config`
 */
export async function readSecrets(
  file: string,
  options?: Parameters<typeof readPrivateFile>[1],
): Promise<string[]> {
  const lines = (await readPrivateFile(file, options)).toString('utf8').split('\n');
  const secrets = lines.map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#'));
  if (secrets.length === 0) throw new ConfigError(`${file}: has no secret: write one into each line`);
  return secrets;
}
