/** The address of the SMTP client, as it is passed to connect. */

/** No address: the MTA has sent none, as for a message from a pipe. */
export const AF_UNSPEC = 0 as const;
/** A Unix socket; the address is its path. */
export const AF_UNIX = 1 as const;
/** IPv4. */
export const AF_INET = 2 as const;
/** IPv6. The numbers of the families are those of Linux on every platform. */
export const AF_INET6 = 10 as const;

/** The family and address of an SMTP client; checking the family narrows the type of the address. */
export type Peer =
  | [family: typeof AF_INET, hostaddr: [ip: string, port: number]]
  | [family: typeof AF_INET6, hostaddr: [ip: string, port: number, flowinfo: number, scopeid: number]]
  | [family: typeof AF_UNIX, hostaddr: string]
  | [family: typeof AF_UNSPEC, hostaddr: null];

/** Builds a {@link Peer} from the numbers and the text that the native side delivers. */
export function peerOf(
  family: number,
  port: number,
  flowinfo: number,
  scopeid: number,
  text: string | undefined,
): Peer {
  switch (family) {
    case AF_INET:
      return [AF_INET, [text as string, port]];
    case AF_INET6:
      return [AF_INET6, [text as string, port, flowinfo, scopeid]];
    case AF_UNIX:
      return [AF_UNIX, text as string];
    default:
      return [AF_UNSPEC, null];
  }
}
