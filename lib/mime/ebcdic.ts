/** The invariant characters of EBCDIC, from the codes that all its code pages share. */

const TABLE: Uint8Array = (() => {
  const table = new Uint8Array(256).fill(0x3f);
  const put = (code: number, text: string) => {
    for (const [index, character] of [...text].entries()) table[code + index] = character.charCodeAt(0);
  };
  for (const [code, text] of [
    [0x81, 'abcdefghi'],
    [0x91, 'jklmnopqr'],
    [0xa2, 'stuvwxyz'],
    [0xc1, 'ABCDEFGHI'],
    [0xd1, 'JKLMNOPQR'],
    [0xe2, 'STUVWXYZ'],
    [0xf0, '0123456789'],
    [0x40, ' '],
    [0x4c, '<'],
    [0x4b, '.'],
    [0x6d, '_'],
    [0x6e, '>'],
    [0x61, '/'],
    [0x7e, '='],
    [0x7d, "'"],
    [0x7f, '"'],
    [0x60, '-'],
    [0x5a, '!'],
    [0x05, '\t'],
    [0x0d, '\r'],
    [0x15, '\n'],
    [0x25, '\n'],
  ] as const)
    put(code, text);
  return table;
})();

/** Whether a label in lower case may mean EBCDIC. */
export const isEbcdic = (charset: string): boolean => /ebcdic|ibm|cp|^\d+$/.test(charset);

/** EBCDIC as ASCII; `?` for what is none. */
export const fromEbcdic = (bytes: Buffer): Buffer => bytes.map((byte) => TABLE[byte] as number) as Buffer;
