/** Where messages are counted until their report is due. */
import type { ReportEntry, ReportPolicy, ReportRow } from './report-entry.js';

/** A report that is due: the messages of a period under one policy of one domain. */
export interface StoredReport {
  /** Names it in its store. */
  readonly id: string;
  readonly policy: ReportPolicy;
  /** The period, in seconds since 1970; its last second included. */
  readonly begin: number;
  readonly end: number;
  readonly rows: readonly { readonly row: ReportRow; readonly count: number }[];
}

/** A store, such as {@link SqliteReportStore}. */
export interface DmarcReportStore {
  /**
   * Counts a message.
   *
   * @param now milliseconds since 1970
   * @returns false if the store is full, and the message is not counted
   */
  add(entry: ReportEntry, now: number): Promise<boolean>;
  /** A report whose period has ended, after the one of that id if it is given; undefined if there is none. */
  next(now: number, after?: string): Promise<StoredReport | undefined>;
  /** Removes a report that was sent. */
  remove(id: string): Promise<void>;
  /** Closes the store. */
  close(): Promise<void>;
}
