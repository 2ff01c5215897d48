/** Names of files that Windows runs when they are clicked on. */

/** pymilter's list. */
export const DANGEROUS_EXTENSIONS: ReadonlySet<string> = new Set(
  (
    'ade adp asd asp asx bas bat chm cmd com cpl crt dll exe hlp hta inf ins isp js jse lnk mdb mde msc msi msp mst ' +
    'ocx pcd pif reg scr sct shs url vb vbe vbs wsc wsf wsh'
  ).split(' '),
);

/** A file's name as Windows understands it: it ignores blanks, dots and control characters at the end. */
export function trimFilename(name: string): string {
  let end = name.length;
  while (end > 0 && (name[end - 1] === '.' || name.charCodeAt(end - 1) <= 0x20)) end--;
  return name.slice(0, end);
}

/**
 * Whether a file of this name is dangerous, by its extension, in any letter case (pymilter's `check_ext`). Blanks and dots
 * at the end do not hide it, as they do from pymilter.
 *
 * @returns the name where it is dangerous, else null
 */
export function checkExt(name: string): string | null {
  const trimmed = trimFilename(name);
  const extension = trimmed.slice(trimmed.lastIndexOf('.') + 1).toLowerCase();
  return trimmed.includes('.') && DANGEROUS_EXTENSIONS.has(extension) ? name : null;
}
