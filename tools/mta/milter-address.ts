/** A filter's socket as libmilter's smfi_setconn writes it, and as each MTA does. */
export type MilterAddress =
  | { readonly family: 'unix'; readonly path: string }
  | { readonly family: 'inet' | 'inet6'; readonly port: number; readonly host: string };

/** Reads `/path`, `unix:/path`, `local:/path`, `inet:port@host` and `inet6:port@host`. */
export function parseMilterAddress(text: string): MilterAddress {
  const path = /^(?:unix:|local:)?(\/.+)$/.exec(text)?.[1];
  if (path !== undefined) return { family: 'unix', path };
  const [, family, port, host] = /^(inet6?):(\d+)@([^@]+)$/.exec(text) ?? [];
  if (family && port && host)
    return { family: family === 'inet6' ? 'inet6' : 'inet', port: Number(port), host };
  throw new Error(`not a socket that an MTA can be given: '${text}'`);
}

export function sendmailSpelling(address: MilterAddress): string {
  if (address.family === 'unix') return `local:${address.path}`;
  return `${address.family}:${address.port}@${address.host}`;
}

export function postfixSpelling(address: MilterAddress): string {
  if (address.family === 'unix') return `unix:${address.path}`;
  // Postfix has no inet6; brackets mean it
  const host = address.family === 'inet6' ? `[${address.host}]` : address.host;
  return `inet:${host}:${address.port}`;
}
