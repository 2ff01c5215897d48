/** Which attachments the sample replaces, and what its warnings say. */
import { checkExt, type DefangOptions } from 'tsmilter/mime';

/** Extensions of files that run when clicked, in addition to the list of tsmilter/mime: disk images, Java, PowerShell. */
const MORE_EXTENSIONS = /\.(?:iso|jar|ps1)$/i;

/** Options for `defangStream`: `host` is named in the warning. */
export function attachmentRules(host: string): DefangOptions {
  return { host, scanHtml: false, check: (name) => checkExt(name) ?? MORE_EXTENSIONS.test(name) };
}
