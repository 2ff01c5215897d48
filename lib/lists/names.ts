/** Entries of a list of names and addresses, and the keys by which a name or an address is found. */
import { badArgument } from '../internal/errors.js';
import { compileGlob } from '../utils/glob.js';
import { domainSpellings, foldText, localPartSpellings } from '../utils/spellings.js';
import { ALL_LEVELS, type LevelSet, readLevels } from './levels.js';

/** An entry: a key that is looked up, or a pattern that is tried. */
export interface NameEntry {
  readonly levels: LevelSet;
  readonly key: string;
  /** Undefined for an entry without wildcards. */
  readonly matches: ((text: string) => boolean) | undefined;
}

/** The maximum length of a domain (RFC 1035 2.3.4). Longer names have no other spelling and no parents. */
const MAX_DOMAIN_LENGTH = 255;
/** Levels stand behind the last colon; the colons of a literal such as `[IPv6:2001:db8::1]` are followed by its bracket. */
const WITH_LEVELS = /^(.*):([^\]":@]*)$/s;
const WILDCARD = /[*?[]/;
/** An address literal is not a set of characters. */
const LITERAL = /(^|@)\[[^\]*?]*\]$/;
/** The null sender, as an entry and as a key. A sender whose domain is empty has another key. */
const NULL_SENDER = '<>';
const ASCII = /^[\0-\x7f]*$/;

/** @throws MilterError ERR_MILTER_BAD_ARGUMENT, with a message without position, if the entry could never match as it is meant */
export function readNameEntry(text: string): NameEntry {
  const [, name = text, words] = WITH_LEVELS.exec(text) ?? [];
  const levels = words === undefined ? ALL_LEVELS : readLevels(words);
  if (name === NULL_SENDER) return { levels, key: NULL_SENDER, matches: undefined };
  check(name);
  const literal = LITERAL.exec(name);
  const wildcards = literal ? name.slice(0, literal.index) : name;
  if (!WILDCARD.test(wildcards)) return { levels, key: keyOfEntry(name), matches: undefined };
  const key = foldText(name);
  const start = literal ? literal.index + (literal[1] as string).length : key.length;
  // In a pattern, `[[]` is a bracket.
  return { levels, key, matches: compileGlob(key.slice(0, start) + key.slice(start).replace('[', '[[]')) };
}

function check(name: string): void {
  if (/[\s\p{Cc}<>]/u.test(name)) {
    throw badArgument('must be one name or address, without blanks, control characters and angle brackets');
  }
  if (name.startsWith('/'))
    throw badArgument('is the path of a file, which only the array of entries can have');
  if (name.startsWith('#')) throw badArgument('begins with #, as a comment does; put the user in quotes');
  const domain = name.slice(name.lastIndexOf('@') + 1).replace(/^\./, '');
  const local = name.slice(0, Math.max(0, name.lastIndexOf('@')));
  if (!local.startsWith('"') && /[@:]/.test(local))
    throw badArgument('has a user with @ or : without quotes');
  if (domain === '' || /^\.|\.\./.test(domain)) throw badArgument('lacks a part of its domain');
  if (domain.length > MAX_DOMAIN_LENGTH)
    throw badArgument(`has a domain of more than ${MAX_DOMAIN_LENGTH} characters`);
}

function keyOfEntry(name: string): string {
  const at = name.lastIndexOf('@');
  const domain = name.slice(at + 1);
  if (at > 0 && domain.startsWith('.')) {
    throw badArgument(`cannot have a user before .domain; use the pattern ${name.slice(0, at)}@*${domain}`);
  }
  if (at === 0 && domain.startsWith('.')) throw badArgument(`has an @ too many; use ${domain}`);
  if (domain.startsWith('.')) return `.${domainKey(domain.slice(1))}`;
  return at < 0 ? domainKey(domain) : `${localKey(name.slice(0, at))}@${domainKey(domain)}`;
}

/** A name or an address, in the forms in which entries are compared with it. */
export interface Lookup {
  /** The keys of entries that apply, the most specific one first. */
  readonly keys: readonly string[];
  /** What patterns are compared with: the address in its spellings, then its domain or the name. */
  readonly texts: readonly string[];
}

/** @param name an address with or without `<>`, the name of a host, or '' or `<>` for the null sender */
export function lookupOf(name: string): Lookup {
  const bare = withoutRoute(name.startsWith('<') && name.endsWith('>') ? name.slice(1, -1) : name);
  if (bare === '') return { keys: [NULL_SENDER], texts: [] };
  const at = bare.lastIndexOf('@');
  const domain = bare.slice(at + 1);
  const key = domainKey(domain);
  const domains = spellingsOf(domain);
  const keys = [key, ...parentsOf(key)];
  if (at < 0) return { keys, texts: domains };
  const local = bare.slice(0, at);
  const addresses = localPartSpellings(local).flatMap((user) => domains.map((each) => `${user}@${each}`));
  return { keys: [`${localKey(local)}@${key}`, `@${key}`, ...keys], texts: [...addresses, ...domains] };
}

function withoutRoute(address: string): string {
  const colon = address.startsWith('@') ? address.indexOf(':') : -1;
  return colon < 0 ? address : address.slice(colon + 1);
}

function spellingsOf(domain: string): string[] {
  return domain.length > MAX_DOMAIN_LENGTH ? [foldText(domain)] : domainSpellings(domain);
}

/** The ASCII spelling of a domain; a name that IDNA does not allow remains as it is. */
function domainKey(domain: string): string {
  const spellings = spellingsOf(domain);
  return spellings.find((spelling) => ASCII.test(spelling)) ?? (spellings[0] as string);
}

const localKey = (local: string): string => localPartSpellings(local)[0] as string;

/** `.example.com` and `.com` for mail.example.com, the longest first. */
function parentsOf(domain: string): string[] {
  if (domain.startsWith('[') || domain.length > MAX_DOMAIN_LENGTH) return [];
  const labels = domain.split('.');
  return labels.slice(1).map((_, level) => `.${labels.slice(level + 1).join('.')}`);
}
