/** Limits for messages. Their senders are untrusted, so everything that grows with a message is limited. */

import { MilterError } from '../internal/errors.js';
import { checkInteger, checkOptions, type OptionNames } from '../internal/validate.js';

/** Limits for the resources that a message may use: whole numbers of at least 1. docs/mime.md says what each protects against. */
export interface MimeLimits {
  /** Maximum size of a message, in bytes. */
  maxSize: number;
  /** Maximum nesting depth of parts, including attached messages. The message itself is level 1. */
  maxDepth: number;
  /** Maximum number of parts at all levels, including the message itself. */
  maxParts: number;
  /** Maximum number of header fields of one part. */
  maxHeaders: number;
  /** Maximum size of one header field, and of a boundary line with its trailing blanks, in bytes. */
  maxHeaderLength: number;
  /** Maximum size of all header fields of one part, in bytes. */
  maxHeadSize: number;
  /** Maximum number of parameters of one header field. Of more, the rest is not read, and the part counts as dangerous. */
  maxParameters: number;
  /**
   * Maximum decoded size of all attached messages in base64 or quoted-printable together, and of the content of one part if that is
   * more than its encoded size (uuencode), in bytes.
   */
  maxDecoded: number;
  /** Maximum decoded size of an HTML part from which scripts are removed, in bytes. */
  maxHtmlSize: number;
  /** Maximum nesting depth of ZIP files. The attachment itself is level 1. */
  maxZipDepth: number;
  /**
   * Maximum number of entries in a ZIP file and all ZIP files in it, and of files that are written into the content of a part or
   * around the parts of a multipart.
   */
  maxZipEntries: number;
  /** Maximum unpacked size of all ZIP files in a ZIP file together, in bytes. Other entries are not unpacked. */
  maxZipExpanded: number;
}

/** Limits that replace those of {@link MIME_LIMITS}. */
export type MimeLimitOptions = { readonly [Name in keyof MimeLimits]?: number | undefined };

/** The defaults. */
export const MIME_LIMITS: Readonly<MimeLimits> = {
  maxSize: 256 * 1024 * 1024,
  maxDepth: 50,
  maxParts: 1000,
  maxHeaders: 1000,
  maxHeaderLength: 128 * 1024,
  maxHeadSize: 1024 * 1024,
  maxParameters: 1000,
  maxDecoded: 40 * 1024 * 1024,
  maxHtmlSize: 16 * 1024 * 1024,
  maxZipDepth: 5,
  maxZipEntries: 10_000,
  maxZipExpanded: 64 * 1024 * 1024,
};

const NAMES = Object.keys(MIME_LIMITS) as (keyof MimeLimits)[];

/** The names of the limits, for functions that have other options besides. */
export const LIMIT_OPTIONS = Object.fromEntries(NAMES.map((name) => [name, true])) as OptionNames<MimeLimits>;

/** Returns `base` overridden by `options`. @throws MilterError ERR_MILTER_BAD_ARGUMENT */
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

/** As `resolveLimits`, for functions that have no other options. @throws MilterError ERR_MILTER_BAD_ARGUMENT */
export function checkLimits(
  where: string,
  options: MimeLimitOptions = {},
  base?: Readonly<MimeLimits>,
): MimeLimits {
  checkOptions(where, options, LIMIT_OPTIONS);
  return resolveLimits(options, base);
}

/** The error for an exceeded limit. `what` is what there is too much of. */
export function limitReached(name: keyof MimeLimits, limit: number, what: string): MilterError {
  return new MilterError(
    'ERR_MILTER_MIME_LIMIT',
    `mime: ${what}: more than ${limit}; raise the option ${name} if such messages are welcome`,
  );
}

/** Whether an error is that of {@link limitReached}. */
export const isLimitReached = (error: unknown): boolean =>
  error instanceof MilterError && error.code === 'ERR_MILTER_MIME_LIMIT';
