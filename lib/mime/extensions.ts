/** Extensions of files that run, or make something run, when they are opened. */

/** pymilter's list, of 2005. */
export const PYMILTER_EXTENSIONS: ReadonlySet<string> = new Set(
  (
    'ade adp asd asp asx bas bat chm cmd com cpl crt dll exe hlp hta inf ins isp js jse lnk mdb mde msc msi msp mst ' +
    'ocx pcd pif reg scr sct shs url vb vbe vbs wsc wsf wsh'
  ).split(' '),
);

/** Google, "File types blocked in Gmail" (support.google.com/mail/answer/6590), compared in November 2026. */
const GMAIL =
  'ade adp apk appx appxbundle bat cab chm cmd com cpl diagcab diagcfg diagpkg dll dmg ex ex_ exe hta img ins iso isp jar ' +
  'jnlp js jse lib lnk mde mjs msc msi msix msixbundle msp mst nsh pif ps1 scr sct shb sys vb vbe vbs vhd vxd wsc wsf wsh xll';

/**
 * Microsoft, compared in November 2026 with "Attachment file types restricted by Office Outlook 2007" (TechNet cc179163) and with
 * the default BlockedFileTypes of an OwaMailboxPolicy in Exchange Online, to which `library-ms` and `search-ms` came in July 2025.
 * Of the latter, `mht`, `mhtml`, `xml`, `vss` and `vst` are left out: the first three are read as HTML, the others are drawings.
 * `application`, `bgi`, `cab`, `iso` and `searchconnector-ms` are on neither page; they are kept because they lead to programs.
 */
const OUTLOOK =
  'ade adp app appcontent-ms application appref-ms asp aspx asx bas bat bgi cab cdxml cer chm cmd cnt com cpl crt csh der diagcab ' +
  'exe fxp gadget grp hlp hpj hta htc inf ins iso isp its jar jnlp js jse ksh library-ms lnk mad maf mag mam maq mar mas mat ' +
  'mau mav maw mcf mda mdb mde mdt mdw mdz msc msh msh1 msh1xml msh2 msh2xml mshxml msi msp mst msu ops osd pcd pif pl plg prf ' +
  'prg printerexport ps1 ps1xml ps2 ps2xml psc1 psc2 psd1 psdm1 pssc pst py pyc pyo pyw pyz pyzw reg scf scr sct search-ms ' +
  'searchconnector-ms settingcontent-ms shb shs theme tmp udl url vb vbe vbp vbs vhd vhdx vsmacros vsw webpnp website ws wsb ' +
  'wsc wsf wsh xbap xll xnk';

/**
 * Lately used to deliver malware, as of November 2026: disk images, shortcuts, queries, notebooks, add-ins, scripted pictures; scripts
 * of AutoIt and AutoHotkey; what opens a terminal on macOS or Linux. Each with those that Windows opens in the same way.
 */
const LATELY_ABUSED =
  'a3x accda accde accdr ahk appimage appinstaller au3 command deskthemepack desktop dqy iqy one onepkg oqy ppa ppam rdp rqy ' +
  'scpt slk svg svgz terminal themepack tool vsto wim wll workflow xla xlam';

/**
 * The extensions that {@link checkExt} objects to by default: those that Gmail or Outlook block, those lately abused, and
 * pymilter's. State of November 2026.
 */
export const DANGEROUS_EXTENSIONS: ReadonlySet<string> = new Set([
  ...[GMAIL, OUTLOOK, LATELY_ABUSED].flatMap((list) => list.split(' ')),
  ...PYMILTER_EXTENSIONS,
]);

/** Extensions that are also top-level domains. */
export const DOMAINS: ReadonlySet<string> = new Set([
  'com',
  'app',
  'cab',
  'one',
  'pl',
  'ps',
  'py',
  'website',
  'ws',
]);

/** Blanks, control and formatting characters, and bytes that are no text. */
const INVISIBLE = /[\p{Z}\p{C}\p{DI}]/u;

/** A file's name as Windows reads it: without the blanks, dots and invisible characters at its end. */
export function trimFilename(name: string): string {
  let end = name.length;
  while (end > 0) {
    const code = name.charCodeAt(end - 1);
    if (code !== 0x2e && code > 0x20 && (code < 0x7f || !INVISIBLE.test(name[end - 1] as string))) break;
    end--;
  }
  return name.slice(0, end);
}

/** The extension of a file's name in lower case, without the dot; empty if it has none. */
export function extensionOf(name: string): string {
  const trimmed = trimFilename(name);
  const dot = trimmed.lastIndexOf('.');
  return dot < 0 ? '' : trimmed.slice(dot + 1).toLowerCase();
}

/**
 * Whether a file of this name is dangerous because of its extension, in any letter case (pymilter's `check_ext`). Unlike in
 * pymilter, blanks, dots and invisible characters at the end do not hide the extension.
 *
 * @param extensions in lower case. Default: {@link DANGEROUS_EXTENSIONS}
 * @returns the name if it is dangerous, otherwise null
 */
export function checkExt(
  name: string,
  extensions: ReadonlySet<string> = DANGEROUS_EXTENSIONS,
): string | null {
  return extensions.has(extensionOf(name)) ? name : null;
}
