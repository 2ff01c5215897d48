/** What counts as the same client and the same sender in a greylist. */
import ipaddr from 'ipaddr.js';
import { readIp, textOf } from '../utils/ip.js';

/** Prefix lengths of the networks whose clients count as one. */
export interface ClientNetworks {
  readonly ipv4Prefix: number;
  readonly ipv6Prefix: number;
}

/**
 * The network of a client, such as `192.0.2.0/24`: large senders retry from another host of the same network. Text that is not an
 * address is returned unchanged, and so is an address if its whole length is compared.
 */
export function clientNetwork(ip: string, { ipv4Prefix, ipv6Prefix }: ClientNetworks): string {
  const address = readIp(ip);
  if (address === undefined) return ip;
  const bytes = address.toByteArray();
  const bits = address.kind() === 'ipv4' ? ipv4Prefix : ipv6Prefix;
  if (bits >= bytes.length * 8) return ip;
  for (const at of bytes.keys()) {
    const kept = Math.min(8, Math.max(0, bits - at * 8));
    bytes[at] = (bytes[at] as number) & (0xff << (8 - kept));
  }
  return `${textOf(ipaddr.fromByteArray(bytes))}/${bits}`;
}

/** BATV: `prvs=0123abcdef=user`, older `prvs=user/0123abcdef`, and Barracuda's `btv1==0123abcdef==user`. */
const BATV = [/^prvs=[0-9a-f]{6,16}=(.+)$/is, /^prvs=(.+)\/[0-9a-f]{6,16}$/is, /^btv1==[0-9a-z]+==(.+)$/is];
/** The hash and the day of `SRS0=hash=day=domain=user`, also within SRS1. */
const SRS0_PART = /^(SRS0[-+=])[^=]+=[^=]+=(?=[^=]+=.)/is;
const SRS1_PART = /^(SRS1[-+=])[^=]+=([^=]+)=([-+=])[^=]+=[^=]+=(?=[^=]+=.)/is;
/** What follows a plus sign: a subaddress, or a return path made for one message. */
const EXTENSION = /(?<=.)\+.*$/s;
const WORD = /[0-9a-z]+/gi;
const NUMBER = /^[0-9]+$/;
/** Hexadecimal digits, with a decimal one among them, as words such as `decade` are not meant. */
const HEX = /^(?=.*[0-9])[0-9a-f]{6,}$/i;
const LONG = /^(?=.*[0-9]).{16,}$/;

/**
 * A sender without the parts that change from message to message: the signatures of BATV and SRS, and in return paths of mailing
 * lists (VERP) the number of the message. Letter case and angle brackets are removed, too.
 *
 * ```
 * foldSender('<prvs=4127a1b2c3=joe@example.com>')        // 'joe@example.com'
 * foldSender('SRS0=HHHH=TT=a.example=joe@fwd.example')   // 'srs0=a.example=joe@fwd.example'
 * foldSender('bounce-4711-joe=b.example@list.example')   // 'bounce-#-joe=b.example@list.example'
 * ```
 */
export function foldSender(sender: string): string {
  const bare = (sender.startsWith('<') && sender.endsWith('>') ? sender.slice(1, -1) : sender).toLowerCase();
  const at = bare.lastIndexOf('@');
  if (at <= 0) return bare;
  return `${foldLocalPart(bare.slice(0, at))}${bare.slice(at)}`;
}

function foldLocalPart(signed: string): string {
  let local = signed;
  for (const form of BATV) local = local.replace(form, '$1');
  if (/^srs[01][-+=]/.test(local)) return local.replace(SRS0_PART, '$1').replace(SRS1_PART, '$1$2=$3');
  return local
    .replace(EXTENSION, '')
    .replace(WORD, (word) => (NUMBER.test(word) || HEX.test(word) || LONG.test(word) ? '#' : word));
}
