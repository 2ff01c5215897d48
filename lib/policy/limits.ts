/** How much an access map may hold. */
import { checkInteger } from '../internal/validate.js';

/**
 * Limits of an access map. Whoever may write the file, or puts another one in its place by mistake (a log, a core dump),
 * shall not fill the filter's memory.
 */
export interface MapLimits {
  /** Bytes of the source text, or of what the MTA's program prints. Default: 67,108,864 (64 MiB). */
  readonly maxBytes?: number;
  /** Bytes in a line. Default: 8,192. */
  readonly maxLineLength?: number;
  /** Entries. Default: 1,000,000. */
  readonly maxEntries?: number;
}

/** The limits with their defaults filled in. @throws MilterError ERR_MILTER_BAD_ARGUMENT */
export function limitsOf(options: MapLimits): Required<MapLimits> {
  const limits = {
    maxBytes: options.maxBytes ?? 64 * 1024 * 1024,
    maxLineLength: options.maxLineLength ?? 8192,
    maxEntries: options.maxEntries ?? 1_000_000,
  };
  for (const [name, value] of Object.entries(limits)) checkInteger(`AccessMap: ${name}`, value, 1);
  return limits;
}
