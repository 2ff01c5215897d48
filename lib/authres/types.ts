/** What an Authentication-Results field says (RFC 8601 2.2). */

/** A property of the message that was looked at: `header.d=example.com`. */
export interface AuthResProperty {
  /** `smtp`, `header`, `body`, `policy`, or another one. */
  readonly ptype: string;
  /** `mailfrom`, `from`, `d`, … */
  readonly property: string;
  readonly value: string;
}

/** The result of one method. */
export interface AuthResResult {
  /** `dkim`, `spf`, `dmarc`, `arc`, `auth`, `iprev`, … */
  readonly method: string;
  /** The version of the method; 1 if absent. */
  readonly methodVersion?: number;
  /** `pass`, `fail`, `none`, … */
  readonly result: string;
  /** A human-readable reason. */
  readonly reason?: string;
  readonly properties?: readonly AuthResProperty[];
}

/** An Authentication-Results field. */
export interface AuthRes {
  /** The authserv-id: who has authenticated, usually a host's or a domain's name. */
  readonly id: string;
  /** The version of the field; 1 if absent. */
  readonly version?: number;
  /** Empty if the field says `none`: no method was applied. */
  readonly results: readonly AuthResResult[];
}
