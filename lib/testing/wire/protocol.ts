/**
 * The milter protocol's constants, typed once, with their C names (libmilter's mfdef.h and mfapi.h).
 *
 * They are typed here, not read from the compiled header as in lib/addon/constants.ts, because `tsmilter/testing`
 * works without libmilter.
 */

/** One ASCII character as the byte that stands on the wire. */
const byte = (character: string): number => character.charCodeAt(0);

/** What an MTA sends: SMFIC_* in mfdef.h. */
export const Command = {
  /** SMFIC_ABORT */
  ABORT: byte('A'),
  /** SMFIC_BODY */
  BODY: byte('B'),
  /** SMFIC_CONNECT */
  CONNECT: byte('C'),
  /** SMFIC_MACRO */
  MACRO: byte('D'),
  /** SMFIC_BODYEOB */
  BODYEOB: byte('E'),
  /** SMFIC_HELO */
  HELO: byte('H'),
  /** SMFIC_QUIT_NC */
  QUIT_NC: byte('K'),
  /** SMFIC_HEADER */
  HEADER: byte('L'),
  /** SMFIC_MAIL */
  MAIL: byte('M'),
  /** SMFIC_EOH */
  EOH: byte('N'),
  /** SMFIC_OPTNEG */
  OPTNEG: byte('O'),
  /** SMFIC_QUIT */
  QUIT: byte('Q'),
  /** SMFIC_RCPT */
  RCPT: byte('R'),
  /** SMFIC_DATA */
  DATA: byte('T'),
  /** SMFIC_UNKNOWN */
  UNKNOWN: byte('U'),
} as const;

/** What a filter sends: SMFIR_* in mfdef.h. */
export const Answer = {
  /** SMFIR_ADDRCPT */
  ADDRCPT: byte('+'),
  /** SMFIR_DELRCPT */
  DELRCPT: byte('-'),
  /** SMFIR_ADDRCPT_PAR */
  ADDRCPT_PAR: byte('2'),
  /** SMFIR_SHUTDOWN */
  SHUTDOWN: byte('4'),
  /** SMFIR_ACCEPT */
  ACCEPT: byte('a'),
  /** SMFIR_REPLBODY */
  REPLBODY: byte('b'),
  /** SMFIR_CONTINUE */
  CONTINUE: byte('c'),
  /** SMFIR_DISCARD */
  DISCARD: byte('d'),
  /** SMFIR_CHGFROM */
  CHGFROM: byte('e'),
  /** SMFIR_CONN_FAIL */
  CONN_FAIL: byte('f'),
  /** SMFIR_ADDHEADER */
  ADDHEADER: byte('h'),
  /** SMFIR_INSHEADER */
  INSHEADER: byte('i'),
  /** SMFIR_CHGHEADER */
  CHGHEADER: byte('m'),
  /** SMFIR_PROGRESS */
  PROGRESS: byte('p'),
  /** SMFIR_QUARANTINE */
  QUARANTINE: byte('q'),
  /** SMFIR_REJECT */
  REJECT: byte('r'),
  /** SMFIR_SKIP */
  SKIP: byte('s'),
  /** SMFIR_TEMPFAIL */
  TEMPFAIL: byte('t'),
  /** SMFIR_REPLYCODE */
  REPLYCODE: byte('y'),
} as const;

/** Rights that an MTA offers and a filter asks for: SMFIF_* in mfapi.h. Combine with `|`. */
export const Actions = {
  /** SMFIF_ADDHDRS: add headers */
  ADDHDRS: 0x001,
  /** SMFIF_CHGBODY: replace the body */
  CHGBODY: 0x002,
  /** SMFIF_ADDRCPT: add recipients */
  ADDRCPT: 0x004,
  /** SMFIF_DELRCPT: delete recipients */
  DELRCPT: 0x008,
  /** SMFIF_CHGHDRS: change and delete headers */
  CHGHDRS: 0x010,
  /** SMFIF_QUARANTINE: hold the message */
  QUARANTINE: 0x020,
  /** SMFIF_CHGFROM: change the envelope sender */
  CHGFROM: 0x040,
  /** SMFIF_ADDRCPT_PAR: add recipients with ESMTP parameters */
  ADDRCPT_PAR: 0x080,
  /** SMFIF_SETSYMLIST: name the macros wanted at each stage */
  SETSYMLIST: 0x100,
  /** SMFI_V2_ACTS: everything an MTA of protocol version 2 knows */
  V2: 0x03f,
  /** SMFI_CURR_ACTS: everything that version 6 knows */
  ALL: 0x1ff,
} as const;

/** Steps and abilities under negotiation: SMFIP_* in mfdef.h. Combine with `|`. */
export const Protocol = {
  /** SMFIP_NOCONNECT: connect is not sent */
  NOCONNECT: 0x1,
  /** SMFIP_NOHELO: helo is not sent */
  NOHELO: 0x2,
  /** SMFIP_NOMAIL: mail is not sent */
  NOMAIL: 0x4,
  /** SMFIP_NORCPT: rcpt is not sent */
  NORCPT: 0x8,
  /** SMFIP_NOBODY: the body is not sent */
  NOBODY: 0x10,
  /** SMFIP_NOHDRS: headers are not sent */
  NOHDRS: 0x20,
  /** SMFIP_NOEOH: end of headers is not sent */
  NOEOH: 0x40,
  /** SMFIP_NR_HDR: no reply to headers */
  NR_HDR: 0x80,
  /** SMFIP_NOUNKNOWN: unknown SMTP commands are not sent */
  NOUNKNOWN: 0x100,
  /** SMFIP_NODATA: data is not sent */
  NODATA: 0x200,
  /** SMFIP_SKIP: the MTA understands the verdict SKIP */
  SKIP: 0x400,
  /** SMFIP_RCPT_REJ: recipients that the MTA refused are sent too */
  RCPT_REJ: 0x800,
  /** SMFIP_NR_CONN: no reply to connect */
  NR_CONN: 0x1000,
  /** SMFIP_NR_HELO: no reply to helo */
  NR_HELO: 0x2000,
  /** SMFIP_NR_MAIL: no reply to mail */
  NR_MAIL: 0x4000,
  /** SMFIP_NR_RCPT: no reply to rcpt */
  NR_RCPT: 0x8000,
  /** SMFIP_NR_DATA: no reply to data */
  NR_DATA: 0x10000,
  /** SMFIP_NR_UNKN: no reply to unknown commands */
  NR_UNKN: 0x20000,
  /** SMFIP_NR_EOH: no reply to end of headers */
  NR_EOH: 0x40000,
  /** SMFIP_NR_BODY: no reply to body chunks */
  NR_BODY: 0x80000,
  /** SMFIP_HDR_LEADSPC: header values keep the space after the colon */
  HDR_LEADSPC: 0x100000,
  /** SMFIP_MDS_256K: frames of up to 262,143 bytes */
  MDS_256K: 0x10000000,
  /** SMFIP_MDS_1M: frames of up to 1,048,575 bytes */
  MDS_1M: 0x20000000,
  /** SMFI_V2_PROT: everything an MTA of protocol version 2 knows */
  V2: 0x7f,
  /** SMFI_CURR_PROT: everything that version 6 knows */
  ALL: 0x1fffff,
} as const;

/** SMFI_PROT_VERSION: the version that today's MTAs and libmilter speak. */
export const CURRENT_VERSION = 6;

/** MILTER_CHUNK_SIZE: bytes of body in one frame at most. */
export const CHUNK_SIZE = 65535;

/** How a step travels: its command, the bit that turns it off and the bit that spares its reply (0: none). */
export interface StepInfo {
  readonly command: number;
  readonly off: number;
  readonly noReply: number;
}

/** The steps of an SMTP session that a filter is asked about. */
export const STEPS = {
  connect: { command: Command.CONNECT, off: Protocol.NOCONNECT, noReply: Protocol.NR_CONN },
  helo: { command: Command.HELO, off: Protocol.NOHELO, noReply: Protocol.NR_HELO },
  mail: { command: Command.MAIL, off: Protocol.NOMAIL, noReply: Protocol.NR_MAIL },
  rcpt: { command: Command.RCPT, off: Protocol.NORCPT, noReply: Protocol.NR_RCPT },
  data: { command: Command.DATA, off: Protocol.NODATA, noReply: Protocol.NR_DATA },
  unknown: { command: Command.UNKNOWN, off: Protocol.NOUNKNOWN, noReply: Protocol.NR_UNKN },
  header: { command: Command.HEADER, off: Protocol.NOHDRS, noReply: Protocol.NR_HDR },
  eoh: { command: Command.EOH, off: Protocol.NOEOH, noReply: Protocol.NR_EOH },
  body: { command: Command.BODY, off: Protocol.NOBODY, noReply: Protocol.NR_BODY },
  eom: { command: Command.BODYEOB, off: 0, noReply: 0 },
} as const satisfies Record<string, StepInfo>;

/** The name of a step. */
export type Step = keyof typeof STEPS;

/** Symbol list stages by their number on the wire: SMFIM_CONNECT (0) to SMFIM_EOH (6) in mfapi.h. */
export const SYMLIST_STAGES = ['connect', 'helo', 'mail', 'rcpt', 'data', 'eom', 'eoh'] as const;

/** A stage for which a filter can name the macros it wants. */
export type SymlistStage = (typeof SYMLIST_STAGES)[number];

/** A byte of the wire for a message to people: `'c'` or `0x00`. */
export function showByte(value: number): string {
  return value > 0x20 && value < 0x7f
    ? `'${String.fromCharCode(value)}'`
    : `0x${value.toString(16).padStart(2, '0')}`;
}
