/** Guesses whether a host is one of many at a provider's customers. */
import type ipaddr from 'ipaddr.js';
import { requireIp } from './ip.js';

/** The longest name that DNS has (RFC 1035 2.3.4). */
const MAX_NAME_LENGTH = 253;

/**
 * Whether a host seems to have been named by a machine after its IP address, as providers name their customers'
 * lines (pymilter's `is_dynip`). Such hosts seldom are mail servers, but some are: use it as one sign among others.
 *
 * - no name: the address itself, `[192.0.2.1]`
 * - the address in any spelling: `192-0-2-1.example.net`, `001002000192.example.net`, `c0000201.example.net`
 * - two of its numbers beside each other, in any order: `dsl-2-1.example.net`
 * - its last number by itself, `host-7.example.net`, or after a word for a customer's line, `dialup7.example.net`
 * - a label of four numbers or more, whichever: `host-10-20-30-40.example.net`
 * - IPv6: all of the address or its last half, with or without zeros, forwards or by digits backwards
 *
 * @param hostname the name that DNS has for the address (PTR), as `connect` receives it; it may be anything
 * @param ip the client's address
 * @throws MilterError ERR_MILTER_BAD_ARGUMENT where `ip` is not an IP address
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

/** Without the provider's own domain, for `163.example` says nothing: the last two labels, but never the first. */
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

/** Two different numbers of the address, not one of them twice. */
function isPair(one: number, other: number, octets: readonly number[]): boolean {
  const rest = [...octets];
  const at = rest.indexOf(one);
  if (at < 0) return false;
  rest.splice(at, 1);
  return rest.includes(other);
}

/** Two to four neighbouring numbers of the address without separators; of four digits at least, or `mx12` is one. */
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

/** What comes before the number of a customer's line; `mail7` and `mx7` are names that people give. */
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
  // The host's half of a server's address is often as short as ::25, and 0-0-0-25 may mean anything.
  const halves = half.filter((group) => group !== '0').length > 1 ? spellings6(half) : [];
  return [...whole, ...halves].some((text) => host.includes(text));
}

/** The groups with and without leading zeros, and the digits backwards as in ip6.arpa (RFC 3596 2.5). */
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
