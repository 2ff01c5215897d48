/** The steps of an SMTP session, one per libmilter callback. They are plain numbers because they are looked up per event. */
import {
  M_CONNECT,
  M_DATA,
  M_ENVFROM,
  M_ENVRCPT,
  M_EOH,
  M_EOM,
  M_HELO,
  P_NOBODY,
  P_NOCONNECT,
  P_NODATA,
  P_NOEOH,
  P_NOHDRS,
  P_NOHELO,
  P_NOMAIL,
  P_NORCPT,
  P_NOUNKNOWN,
  P_NR_BODY,
  P_NR_CONN,
  P_NR_DATA,
  P_NR_EOH,
  P_NR_HDR,
  P_NR_HELO,
  P_NR_MAIL,
  P_NR_RCPT,
  P_NR_UNKN,
} from './constants.js';

/** In the order of native/bridge/step.h; the two are compared when the addon is loaded. */
export const STEP_NAMES = [
  'negotiate',
  'connect',
  'helo',
  'envfrom',
  'envrcpt',
  'data',
  'header',
  'eoh',
  'body',
  'eom',
  'unknown',
  'abort',
  'close',
] as const;
/** A step's name, as libmilter calls it. */
export type StepName = (typeof STEP_NAMES)[number];

export const NEGOTIATE = 0;
export const CONNECT = 1;
export const HELO = 2;
export const ENVFROM = 3;
export const ENVRCPT = 4;
export const DATA = 5;
export const HEADER = 6;
export const EOH = 7;
export const BODY = 8;
export const EOM = 9;
export const UNKNOWN = 10;
export const ABORT = 11;
export const CLOSE = 12;

/** The name of a handler's method in a filter class; libmilter's helo is pymilter's hello. */
export type HandlerName = Exclude<StepName, 'helo'> | 'hello';
/** Every handler, in the order of the steps. */
export const HANDLER_NAMES: readonly HandlerName[] = STEP_NAMES.map((step) =>
  step === 'helo' ? 'hello' : step,
);

/** A step that an MTA can be told not to send, or not to await a reply to. */
export interface NegotiableStep {
  readonly step: number;
  readonly handler: HandlerName;
  /** The MTA does not send the step (SMFIP_NO…). */
  readonly no: number;
  /** The MTA does not await a reply (SMFIP_NR_…). */
  readonly nr: number;
  /** The stage whose macros may be chosen for it (SMFIM_…). */
  readonly stage?: number;
}

/** Every step that can be negotiated. */
export const NEGOTIABLE: readonly NegotiableStep[] = [
  { step: CONNECT, handler: 'connect', no: P_NOCONNECT, nr: P_NR_CONN, stage: M_CONNECT },
  { step: HELO, handler: 'hello', no: P_NOHELO, nr: P_NR_HELO, stage: M_HELO },
  { step: ENVFROM, handler: 'envfrom', no: P_NOMAIL, nr: P_NR_MAIL, stage: M_ENVFROM },
  { step: ENVRCPT, handler: 'envrcpt', no: P_NORCPT, nr: P_NR_RCPT, stage: M_ENVRCPT },
  { step: DATA, handler: 'data', no: P_NODATA, nr: P_NR_DATA, stage: M_DATA },
  { step: HEADER, handler: 'header', no: P_NOHDRS, nr: P_NR_HDR },
  { step: EOH, handler: 'eoh', no: P_NOEOH, nr: P_NR_EOH, stage: M_EOH },
  { step: BODY, handler: 'body', no: P_NOBODY, nr: P_NR_BODY },
  { step: UNKNOWN, handler: 'unknown', no: P_NOUNKNOWN, nr: P_NR_UNKN },
];

/** The stages of setsymlist, by the handler whose macros they are. */
export const SYMLIST_STAGES: ReadonlyMap<HandlerName, number> = new Map([
  ...NEGOTIABLE.flatMap(({ handler, stage }): [HandlerName, number][] =>
    stage === undefined ? [] : [[handler, stage]],
  ),
  ['eom', M_EOM],
]);

/** The bit of a step in a set of steps. */
export const bitOf = (step: number): number => 1 << step;
/** The steps whose answers the SMTP client does not see before the end of the message. */
export const DEFERRABLE = bitOf(HEADER) | bitOf(EOH) | bitOf(BODY);
