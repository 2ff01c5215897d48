/** Guesses whether a host name was generated from an IP address. */
import type ipaddr from 'ipaddr.js';
import { MAX_NAME_LENGTH } from '../dns/names.js';
import { requireIp } from './ip.js';

/**
 * Whether the name of a host seems to be generated from its IP address, as providers name the lines of their customers
 * (pymilter's `is_dynip`). Such hosts are rarely mail servers, but some are, so use this as one indication among others. It
 * recognises:
 *
 * - no name, but the address itself: `[192.0.2.1]`
 * - the address in any form: `192-0-2-1.example.net`, `001002000192.example.net`, `c0000201.example.net`
 * - two adjacent numbers of the address, in any order: `dsl-2-1.example.net`
 * - its last number alone, `host-7.example.net`, or after a word for a customer's line, `dialup7.example.net`
 * - a label with any four numbers or more: `host-10-20-30-40.example.net`
 * - IPv6: the whole address or its last half, with or without leading zeros, or as reversed digits
 *
 * @param hostname the name in the PTR record of the address, as `connect` receives it; it may be any text
 * @param ip the client's address
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT if `ip` is not an IP address
 */
export function isDynip(hostname: string, ip: string): boolean {
  const address = requireIp('isDynip', ip);
  const name = hostname.slice(0, MAX_NAME_LENGTH).toLowerCase();
  if (isLiteral(name, ip.toLowerCase())) return true;
  const host = hostPart(name);
  return address.kind() === 'ipv4'
    ? namesIpv4(host, (address as ipaddr.IPv4).octets) || hasManyNumbers(host)
    : namesIpv6(host, address as ipaddr.IPv6);
}

function isLiteral(name: string, ip: string): boolean {
  return name === ip || (name.startsWith('[') && name.endsWith(']'));
}

/** Removes the last two labels, but never the first: numbers in a provider's own domain, such as `163.example`, mean nothing. */
function hostPart(name: string): string {
  const labels = name.replace(/\.$/, '').split('.');
  return labels.slice(0, Math.max(1, labels.length - 2)).join('.');
}

function namesIpv4(host: string, octets: readonly number[]): boolean {
  const numbers = [...host.matchAll(/\d+/g)].map(({ 0: digits, index }) => ({
    digits,
    value: digits.length > 3 ? -1 : Number(digits),
    start: index,
    end: index + digits.length,
  }));
  const runTogether = spellings(octets);
  if (numbers.some(({ digits }) => runTogether.has(digits)) || hasHex(host, octets)) return true;
  return numbers.some((number, at) => {
    const next = numbers[at + 1];
    if (
      next &&
      /^[-._x]$/.test(host.slice(number.end, next.start)) &&
      isPair(number.value, next.value, octets)
    ) {
      return true;
    }
    return number.value === octets[3] && standsAlone(host.slice(0, number.start), host.slice(number.end));
  });
}

/** Whether both are numbers of the address. The same octet does not count twice. */
function isPair(one: number, other: number, octets: readonly number[]): boolean {
  const rest = [...octets];
  const at = rest.indexOf(one);
  if (at < 0) return false;
  rest.splice(at, 1);
  return rest.includes(other);
}

/** Two to four adjacent numbers of the address without separators. They need four digits, or `mx12` would match. */
function spellings(octets: readonly number[]): Set<string> {
  const found = new Set<string>();
  for (const order of [octets, octets.toReversed()]) {
    for (let from = 0; from < 3; from++) {
      for (let to = from + 2; to <= 4; to++) {
        const part = order.slice(from, to).map(String);
        found.add(part.join('')).add(part.map((number) => number.padStart(3, '0')).join(''));
      }
    }
  }
  return new Set([...found].filter((digits) => digits.length > 3));
}

function hasHex(host: string, octets: readonly number[]): boolean {
  const hex = octets.map((octet) => octet.toString(16).padStart(2, '0'));
  return host.includes(hex.join('')) || host.includes(hex.toReversed().join(''));
}

/** Words before the number of a customer's line. Names such as `mail7` and `mx7`, in contrast, are chosen by people. */
const LINE_WORD =
  /(?:dsl|dial|dialup|dialin|dhcp|dyn|dynamic|pool|ppp|pppoe|cable|user|client|customer|cust)$/;

function standsAlone(before: string, behind: string): boolean {
  if (!/^(?:[-._]|$)/.test(behind)) return false;
  return /(?:^|[-._])$/.test(before) || LINE_WORD.test(before);
}

function hasManyNumbers(host: string): boolean {
  return host.split('.').some((label) => {
    let row = 0;
    return label.split('-').some((piece) => {
      row = /\d{1,3}$/.test(piece) && (row === 0 || /^\d{1,3}$/.test(piece)) ? row + 1 : 0;
      return row === 4;
    });
  });
}

function namesIpv6(host: string, address: ipaddr.IPv6): boolean {
  const groups = address.parts.map((part) => part.toString(16));
  const whole = [...spellings6(groups), address.toRFC5952String().replaceAll(':', '-')];
  const half = groups.slice(4);
  // The interface identifier of a server is often as short as ::25, and 0-0-0-25 would match too many names.
  const halves = half.filter((group) => group !== '0').length > 1 ? spellings6(half) : [];
  return [...whole, ...halves].some((text) => host.includes(text));
}

/** The groups with and without leading zeros, and the digits in reverse order as in ip6.arpa (RFC 3596 2.5). */
function spellings6(groups: readonly string[]): string[] {
  const padded = groups.map((group) => group.padStart(4, '0'));
  const backwards = padded.join('').split('').reverse();
  return [
    groups.join('-'),
    groups.join('.'),
    padded.join('-'),
    padded.join('.'),
    padded.join(''),
    backwards.join('.'),
  ];
}
