/** Checks of files, each by the reader that filters use. */
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { readKeyFile } from '../../dkim/index.js';
import { MilterError } from '../../internal/errors.js';
import { AddressList, NetworkList } from '../../lists/index.js';
import { AccessMap, type AccessMapOptions } from '../../policy/index.js';
import type { Finding } from '../finding.js';
import { plainMessage } from '../system-error.js';

export type CheckFile = (file: string) => Promise<Finding[]>;

/** RFC 8301 3.2: signers SHOULD use at least so many bits. */
const RECOMMENDED_RSA_BITS = 2048;

export async function checkAccessMap(
  file: string,
  { separator, type }: { separator: AccessMapOptions['separator']; type: AccessMapOptions['type'] },
): Promise<Finding[]> {
  return await examine('access-map', file, async () => {
    const options = { ...(separator && { separator }), ...(type && { type }), pollInterval: 0 };
    using map = await AccessMap.open(file, options);
    return [entriesOf('access-map', file, map.size)];
  });
}

export async function checkAddressList(file: string): Promise<Finding[]> {
  return await examine('list', file, async () => {
    using list = await AddressList.open([resolve(file)], { pollInterval: 0 });
    return [entriesOf('list', file, list.size)];
  });
}

export async function checkNetworkList(file: string): Promise<Finding[]> {
  return await examine('networks', file, async () => {
    using list = await NetworkList.open([resolve(file)], { pollInterval: 0 });
    return [entriesOf('networks', file, list.size)];
  });
}

export async function checkKeyFile(file: string, groupReadable: boolean): Promise<Finding[]> {
  return await examine('key', file, async () => {
    const key = await readKeyFile(file, { maxMode: groupReadable ? 0o640 : 0o600 });
    const bits = key.asymmetricKeyDetails?.modulusLength;
    if (bits === undefined) return [{ level: 'ok', code: 'key', about: file, message: 'an Ed25519 key' }];
    const message = `an RSA key of ${bits} bits`;
    if (bits >= RECOMMENDED_RSA_BITS) return [{ level: 'ok', code: 'key', about: file, message }];
    const cure = `make one of at least ${RECOMMENDED_RSA_BITS} bits (RFC 8301): tsmilter key generate`;
    return [{ level: 'warning', code: 'key', about: file, message, cure }];
  });
}

/** Runs a check of a regular file: nothing else may be opened, since a named pipe would wait. What it throws is a finding. */
export async function examine(
  code: string,
  file: string,
  check: () => Promise<Finding[]>,
): Promise<Finding[]> {
  try {
    if (!(await stat(file)).isFile()) return [failure(code, file, 'is not a regular file')];
    return await check();
  } catch (error) {
    const isExpected = error instanceof MilterError || 'syscall' in (error as object);
    if (!isExpected) throw error;
    return [failure(code, file, plainMessage(error as Error))];
  }
}

export function failure(code: string, about: string, message: string): Finding {
  // Many messages begin with what they are about.
  const prefix = `${about}: `;
  return {
    level: 'error',
    code,
    about,
    message: message.startsWith(prefix) ? message.slice(prefix.length) : message,
  };
}

function entriesOf(code: string, about: string, count: number): Finding {
  if (count > 0)
    return { level: 'ok', code, about, message: `${count} ${count === 1 ? 'entry' : 'entries'}` };
  return { level: 'warning', code, about, message: 'has no entries' };
}
