/** Whether a filter answers on a socket. */
import { MtaSession } from '../../testing/wire/mta-session.js';
import type { Finding } from '../finding.js';
import { spellings, type Target } from './route.js';

/** Milliseconds for each reply. */
const TIMEOUT = 5_000;

const CURES: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'start the filter',
  ENOENT: 'start the filter, or correct the path',
  EACCES: 'run tsmilter doctor as root',
  ENOTFOUND: 'correct the host name',
  ERR_MILTER_TIMEOUT: "look at the filter's log: it accepts connections, but does not answer",
  ERR_MILTER_PROTOCOL: 'see which program listens there: it is no milter',
  ERR_MILTER_CLOSED: "see the filter's log: it has hung up",
};

/** Connects and negotiates, as an MTA begins. */
export async function checkListening(target: Target): Promise<Finding> {
  const about = spellings(target).libmilter;
  const code = 'listening';
  try {
    await using session = await MtaSession.open(about, { timeout: TIMEOUT });
    const { version } = session.negotiated;
    return {
      level: 'ok',
      code,
      about,
      message: `a filter answers, with version ${version} of the milter protocol`,
    };
  } catch (error) {
    const { code: reason = '', message } = error as NodeJS.ErrnoException;
    const cure = CURES[reason] ?? 'see the message';
    return { level: 'error', code, about, message: `no filter answers: ${message}`, cure };
  }
}
