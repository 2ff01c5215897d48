/** A message as it will look when the MTA has added its own Received field, which no filter sees. */
import { isIPv6 } from 'node:net';
import type { MessageFacts } from './facts';

/** Text of the client that can stand in the field without being taken for another part of it. */
const word = (text: string): string => text.slice(0, 255).replaceAll(/[^\w.:[\]-]/g, '?') || '?';

/** In Postfix's form, which scanners know: from it they learn who the client is, and that what stands below is its own claim. */
function receivedField({ client, helo, host, message }: MessageFacts): string {
  const { address, name } = client;
  if (address === null) return '';
  const literal = isIPv6(address) ? `IPv6:${address}` : address;
  const date = new Date().toUTCString().replace('GMT', '+0000');
  return [
    `Received: from ${word(helo ?? 'unknown')} (${word(name ?? 'unknown')} [${literal}])`,
    `\tby ${word(host)} (Postfix) with ${message.auth === null ? 'ESMTP' : 'ESMTPA'} id ${word(message.queueId ?? '')};`,
    `\t${date}`,
    '',
  ].join('\r\n');
}

/** The bytes of the message behind that field. */
export async function* withReceived(facts: MessageFacts): AsyncGenerator<Buffer> {
  yield Buffer.from(receivedField(facts));
  yield* facts.message.source();
}
