/** What a message may ask of this process. A stranger writes it, so everything that grows has an end. */

import { MilterError } from '../internal/errors.js';
import { checkInteger, checkOptions, type OptionNames } from '../internal/validate.js';

/** Each is a whole number, at least 1. See docs/mime.md for what each protects from. */
export interface MimeLimits {
  /** Bytes of a message. */
  maxSize: number;
  /** Levels of parts in parts, attached messages included; the message itself is the first. */
  maxDepth: number;
  /** Parts of a message at all levels, itself included. */
  maxParts: number;
  /** Header fields of one part. */
  maxHeaders: number;
  /** Bytes of one header field, and of a boundary line with its trailing blanks. */
  maxHeaderLength: number;
  /** Bytes of all header fields of one part. */
  maxHeadSize: number;
  /** Bytes that attached messages in base64 or quoted-printable decode to, all together. */
  maxDecoded: number;
  /** Bytes of an HTML part, decoded, that scripts are taken out of. */
  maxHtmlSize: number;
  /** ZIP files in ZIP files; the attachment itself is the first. */
  maxZipDepth: number;
  /** Entries of a ZIP file and of all that are in it. */
  maxZipEntries: number;
  /** Bytes that the ZIP files in a ZIP file unpack to, all together. Other entries are not unpacked. */
  maxZipExpanded: number;
}

/** Limits that differ from {@link MIME_LIMITS}. */
export type MimeLimitOptions = { readonly [Name in keyof MimeLimits]?: number | undefined };

/** The defaults. */
export const MIME_LIMITS: Readonly<MimeLimits> = {
  maxSize: 256 * 1024 * 1024,
  maxDepth: 50,
  maxParts: 1000,
  maxHeaders: 1000,
  maxHeaderLength: 128 * 1024,
  maxHeadSize: 1024 * 1024,
  maxDecoded: 40 * 1024 * 1024,
  maxHtmlSize: 16 * 1024 * 1024,
  maxZipDepth: 5,
  maxZipEntries: 10_000,
  maxZipExpanded: 64 * 1024 * 1024,
};

const NAMES = Object.keys(MIME_LIMITS) as (keyof MimeLimits)[];

/** The names, for those who take more options than these. */
export const LIMIT_OPTIONS = Object.fromEntries(NAMES.map((name) => [name, true])) as OptionNames<MimeLimits>;

/** `base` with `options` over it. @throws MilterError ERR_MILTER_BAD_ARGUMENT */
export function resolveLimits(
  options: MimeLimitOptions = {},
  base: Readonly<MimeLimits> = MIME_LIMITS,
): MimeLimits {
  const limits = { ...base };
  for (const name of NAMES) {
    const value = options[name];
    if (value === undefined) continue;
    checkInteger(`mime: ${name}`, value, 1, Number.MAX_SAFE_INTEGER);
    limits[name] = value;
  }
  return limits;
}

/** As `resolveLimits`, of options that are nothing else. @throws MilterError ERR_MILTER_BAD_ARGUMENT */
export function checkLimits(
  where: string,
  options: MimeLimitOptions = {},
  base?: Readonly<MimeLimits>,
): MimeLimits {
  checkOptions(where, options, LIMIT_OPTIONS);
  return resolveLimits(options, base);
}

/** The error of a limit that was reached. `what` says what there is too much of. */
export function limitReached(name: keyof MimeLimits, limit: number, what: string): MilterError {
  return new MilterError(
    'ERR_MILTER_MIME_LIMIT',
    `mime: ${what}: more than ${limit}; raise the option ${name} if such messages are welcome`,
  );
}
