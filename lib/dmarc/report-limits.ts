/** What the stores of aggregate reports have in common. */
import { checkInteger } from '../internal/validate.js';

/** Periods of reports, and how much is counted. */
export interface ReportLimits {
  /** Seconds that a report covers; periods begin at multiples of it since 1970. Default: 86,400, a day (UTC). */
  readonly period: number;
  /** Maximum number of rows in the store; messages that need another one are not counted. Default: 1,000,000. */
  readonly maxRows: number;
  /** Maximum number of rows of one report, so that a report fits into memory and into a mail. Default: 20,000. */
  readonly maxRowsPerReport: number;
}

const DAY = 86_400;

/** The limits with their defaults. @throws MilterError ERR_MILTER_BAD_ARGUMENT */
export function checkReportLimits(
  where: string,
  {
    period = DAY,
    maxRows = 1_000_000,
    maxRowsPerReport = 20_000,
  }: { [name in keyof ReportLimits]?: ReportLimits[name] | undefined },
): ReportLimits {
  const limits = { period, maxRows, maxRowsPerReport };
  for (const [name, value] of Object.entries(limits)) checkInteger(`${where}: ${name}`, value, 1);
  return limits;
}
