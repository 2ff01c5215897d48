/** Containers that are recognised by how they begin, whatever their name and type. */

type Signature = readonly [name: string, at: number, bytes: string];

/** Offsets and bytes that identify a format, as its specification says. */
const SIGNATURES: readonly Signature[] = [
  ['ZIP', 0, 'PK\x03\x04'],
  ['ZIP', 0, 'PK\x05\x06'],
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
];

/** The format of a container, such as `RAR`; null if the content is none. */
export function containerFormat(content: Buffer): string | null {
  for (const [name, at, bytes] of SIGNATURES)
    if (content.length >= at + bytes.length && content.toString('latin1', at, at + bytes.length) === bytes)
      return name;
  return null;
}
