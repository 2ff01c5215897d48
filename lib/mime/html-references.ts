/** Character references of HTML and XML. */

const ENTITIES: ReadonlyMap<string, string> = new Map([
  ['lt', '<'],
  ['gt', '>'],
  ['quot', '"'],
  ['apos', "'"],
  ['amp', '&'],
  ['sol', '/'],
  ['equals', '='],
  ['tab', '\t'],
  ['newline', '\n'],
]);

/** Decodes character references, as far as they stand for markup. */
export function decodeReferences(text: string): string {
  return text.replace(
    /&(?:#x([0-9a-f]+)|#(\d+)|(lt|gt|quot|apos|amp|sol|equals|tab|newline));?/gi,
    (whole, hex, decimal, name) => {
      if (name !== undefined) return ENTITIES.get(name.toLowerCase()) ?? whole;
      const code = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16);
      return code <= 0x10ffff ? String.fromCodePoint(code) : '';
    },
  );
}
