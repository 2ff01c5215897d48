/** The package on this machine: Node.js, the addon, libmilter. */
import { native } from '../../addon/native.js';
import { MilterError } from '../../internal/errors.js';
import type { Finding } from '../finding.js';
import { packageVersion } from '../package-version.js';

/** Loads the addon. */
export function checkInstallation(): Finding {
  const about = `tsmilter ${packageVersion()}`;
  try {
    const libmilter = native().version().join('.');
    const message = `the addon works, with libmilter ${libmilter} under Node.js ${process.versions.node}`;
    return { level: 'ok', code: 'installation', about, message };
  } catch (error) {
    if (!(error instanceof MilterError)) throw error;
    const [message = '', ...cure] = error.message.split(/[:;] (?=install|build|run)/);
    return { level: 'error', code: 'installation', about, message, cure: cure.join('; ') };
  }
}
