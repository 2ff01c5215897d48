/** The files in a calendar (RFC 5545), which programs offer like attachments. */

const BEGINNING = /BEGIN:VCALENDAR/i;
/** A property ATTACH with parameters, up to its content. */
const ATTACHMENT = /^ATTACH(;[^\r\n]*)/gim;
/** What programs call the parameter for a file's name: RFC 8607 4.1, Lotus, Outlook and Thunderbird, Apple. */
const FILENAME = /;(?:X-(?:[A-Z]+-)?)?FILE-?NAME=(?:"([^"]*)"?|([^;:]*))/gi;

/** The names of the files in a calendar. */
export function* calendarNames(bytes: Buffer): Generator<string> {
  const text = bytes.toString();
  if (!BEGINNING.test(text)) return;
  const unfolded = text.replace(/\r?\n[ \t]/g, '');
  for (const [, parameters = ''] of unfolded.matchAll(ATTACHMENT))
    for (const [, quoted, token] of parameters.matchAll(FILENAME)) yield quoted ?? token ?? '';
}
