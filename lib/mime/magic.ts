/** Containers that are recognised by how they begin or end, whatever their name and type. */
import { hasZipDirectory } from './zip-directory.js';

type Signature = readonly [name: string, at: number, bytes: string];

/** Offsets and bytes that identify a format, as its specification says. */
const SIGNATURES: readonly Signature[] = [
  ['ZIP', 0, 'PK\x03\x04'],
  ['ZIP', 0, 'PK\x05\x06'],
  ['ZIP', 0, 'PK\x07\x08PK\x03\x04'],
  ['RAR', 0, 'Rar!\x1a\x07'],
  ['7z', 0, '7z\xbc\xaf\x27\x1c'],
  ['gzip', 0, '\x1f\x8b'],
  ['xz', 0, '\xfd7zXZ\0'],
  ['bzip2', 0, 'BZh'],
  ['zstd', 0, '\x28\xb5\x2f\xfd'],
  ['lzip', 0, 'LZIP'],
  ['compress', 0, '\x1f\x9d'],
  ['cabinet', 0, 'MSCF'],
  ['ARJ', 0, '\x60\xea'],
  ['ACE', 7, '**ACE**'],
  ['LHA', 2, '-lh'],
  ['tar', 257, 'ustar'],
  ['WIM', 0, 'MSWIM\0\0\0'],
  ['VHD', 0, 'conectix'],
  ['VHDX', 0, 'vhdxfile'],
  ['ISO 9660', 0x8001, 'CD001'],
  ['UDF', 0x8001, 'BEA01'],
  ['VMDK', 0, 'KDMV'],
  ['QCOW', 0, 'QFI\xfb'],
  ['squashfs', 0, 'hsqs'],
  ['xar', 0, 'xar!\0'],
  ['LZ4', 0, '\x04\x22\x4d\x18'],
  ['cpio', 0, '070707'],
  ['cpio', 0, '070701'],
  ['cpio', 0, '070702'],
  ['ar', 0, '!<arch>\n'],
  ['RPM', 0, '\xed\xab\xee\xdb'],
  ['StuffIt', 0, 'SIT!'],
  ['StuffIt', 0, 'StuffIt '],
  ['CHM', 0, 'ITSF'],
  ['OneNote', 0, '\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d'],
];

const TAR_BLOCK = 512;
const TAR_CHECKSUM = 148;
const TAR_CHECKSUM_SIZE = 8;

/** An archive of tar from before its signature, by the checksum of its first header (blanks stand for the checksum itself). */
function isTar(content: Buffer): boolean {
  if (content.length < TAR_BLOCK || content[0] === 0) return false;
  const digits = /^[ ]*([0-7]+)[ \0]+$/.exec(
    content.toString('latin1', TAR_CHECKSUM, TAR_CHECKSUM + TAR_CHECKSUM_SIZE),
  )?.[1];
  if (digits === undefined) return false;
  let sum = 0;
  for (let at = 0; at < TAR_BLOCK; at++)
    sum += at >= TAR_CHECKSUM && at < TAR_CHECKSUM + TAR_CHECKSUM_SIZE ? 0x20 : (content[at] as number);
  return sum === Number.parseInt(digits, 8);
}

const DMG_TRAILER = 512;

/** Apple's disk images end with a block of their own. */
const isDmg = (content: Buffer): boolean =>
  content.length >= DMG_TRAILER &&
  content.toString('latin1', content.length - DMG_TRAILER).startsWith('koly');

/** The format of a container, such as `RAR`; null if the content is none. */
export function containerFormat(content: Buffer): string | null {
  for (const [name, at, bytes] of SIGNATURES)
    if (content.length >= at + bytes.length && content.toString('latin1', at, at + bytes.length) === bytes)
      return name;
  if (isTar(content)) return 'tar';
  if (isDmg(content)) return 'DMG';
  // A ZIP file may follow something else, such as a program that unpacks it.
  return hasZipDirectory(content) ? 'ZIP' : null;
}
