/**
 * The names of parts without a name. A program that saves such a part takes the end of Content-Location or Content-Description,
 * or an extension for its type.
 */
import { withoutAtEnd } from '../internal/trim-end.js';
import { DOMAINS, extensionOf } from './extensions.js';

/** Extensions of types that mean programs, as Windows and IANA's registry map them. */
const EXTENSIONS: ReadonlyMap<string, string> = new Map([
  ['application/hta', 'hta'],
  ['application/java-archive', 'jar'],
  ['application/javascript', 'js'],
  ['application/ecmascript', 'js'],
  ['application/vnd.microsoft.portable-executable', 'exe'],
  ['application/x-bat', 'bat'],
  ['application/x-dosexec', 'exe'],
  ['application/x-exe', 'exe'],
  ['application/x-javascript', 'js'],
  ['application/x-ms-application', 'application'],
  ['application/x-ms-installer', 'msi'],
  ['application/x-ms-shortcut', 'lnk'],
  ['application/x-ms-xbap', 'xbap'],
  ['application/x-msdos-program', 'exe'],
  ['application/x-msdownload', 'exe'],
  ['application/x-msi', 'msi'],
  ['application/x-vbs', 'vbs'],
  ['text/javascript', 'js'],
  ['text/scriptlet', 'sct'],
  ['text/vbscript', 'vbs'],
  ['text/x-vbscript', 'vbs'],
]);

/** The last segment of the path of a URL, or of a relative one; empty if there is none. */
export function nameInUrl(url: string): string {
  const path = withoutAtEnd(url.replace(/^[<"\s]+/, ''), '>" \t\r\n').replace(/[?#].*$/s, '');
  const withoutHost = path.replace(/^[a-z][a-z0-9+.-]*:(?:\/\/[^/\\]*)?/i, '');
  return withoutHost.slice(Math.max(withoutHost.lastIndexOf('/'), withoutHost.lastIndexOf('\\')) + 1);
}

/** With what the address of a page, of a picture or of a part often ends although it is no file of that kind. */
const ENDS_OF_ADDRESSES: ReadonlySet<string> = new Set([...DOMAINS, 'asp', 'aspx']);
const ID_OF_PART = /^[<"\s]*[cm]id:/i;
const isPage = (type: string): boolean => type === 'text/html' || type.startsWith('image/');

/** Whether the location of a part also says what kind of file it is. */
function isNameOfFile(name: string, url: string, types: readonly string[]): boolean {
  const extension = extensionOf(name);
  if (extension === '') return false;
  return !ENDS_OF_ADDRESSES.has(extension) || !(types.every(isPage) || ID_OF_PART.test(url));
}

/** A description is a name only if it looks like one: a text may end in a domain. */
const isName = (description: string): boolean =>
  !/\s/.test(description.trim()) && extensionOf(description) !== '';

/** What a program may call a part that has no name: a name, by the field that it is read from. */
export function* namesOfUnnamed(
  types: readonly string[],
  locations: readonly string[],
  descriptions: readonly string[],
): Generator<readonly [attribute: string, value: string]> {
  for (const url of locations) {
    const name = nameInUrl(url);
    if (isNameOfFile(name, url, types)) yield ['location', name];
  }
  for (const description of descriptions) if (isName(description)) yield ['description', description];
  for (const type of types) {
    const extension = EXTENSIONS.get(type);
    if (extension !== undefined) yield ['type', `unnamed.${extension}`];
  }
}
