/** Limits of an access map. */
import { checkInteger } from '../internal/validate.js';

/**
 * Limits of an access map. They keep the file, or another one put in its place by mistake (a log, a core dump), from filling
 * the memory of the filter.
 */
export interface MapLimits {
  /** Maximum size in bytes of the source text, or of the output of the MTA's program. Default: 67,108,864 (64 MiB). */
  readonly maxBytes?: number;
  /** Maximum length of a line in bytes. Default: 8,192. */
  readonly maxLineLength?: number;
  /** Maximum number of entries. Default: 1,000,000. */
  readonly maxEntries?: number;
}

/** The limits, with defaults. @throws MilterError ERR_MILTER_BAD_ARGUMENT */
export function limitsOf(options: MapLimits): Required<MapLimits> {
  const limits = {
    maxBytes: options.maxBytes ?? 64 * 1024 * 1024,
    maxLineLength: options.maxLineLength ?? 8192,
    maxEntries: options.maxEntries ?? 1_000_000,
  };
  for (const [name, value] of Object.entries(limits)) checkInteger(`AccessMap: ${name}`, value, 1);
  return limits;
}
