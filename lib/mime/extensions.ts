/** Names of files that Windows runs when they are opened. */

/** pymilter's list. */
export const DANGEROUS_EXTENSIONS: ReadonlySet<string> = new Set(
  (
    'ade adp asd asp asx bas bat chm cmd com cpl crt dll exe hlp hta inf ins isp js jse lnk mdb mde msc msi msp mst ' +
    'ocx pcd pif reg scr sct shs url vb vbe vbs wsc wsf wsh'
  ).split(' '),
);

/** A file's name as Windows reads it: without the blanks, dots and control characters at its end. */
export function trimFilename(name: string): string {
  let end = name.length;
  while (end > 0 && (name[end - 1] === '.' || name.charCodeAt(end - 1) <= 0x20)) end--;
  return name.slice(0, end);
}

/**
 * Whether a file of this name is dangerous because of its extension, in any letter case (pymilter's `check_ext`). Unlike in
 * pymilter, blanks and dots at the end do not hide the extension.
 *
 * @returns the name if it is dangerous, otherwise null
 */
export function checkExt(name: string): string | null {
  const trimmed = trimFilename(name);
  const extension = trimmed.slice(trimmed.lastIndexOf('.') + 1).toLowerCase();
  return trimmed.includes('.') && DANGEROUS_EXTENSIONS.has(extension) ? name : null;
}
