/** The actions of a handler as the modifications that an MTA receives. */
import { ActionKind } from '../../addon/kinds.js';
import { decodeBytes, encodeBytes } from '../../internal/bytes.js';
import type { Modification } from '../wire/replies.js';
import type { Action } from './mta.js';

/** A text as it arrives after its way through the socket. */
export const overTheWire = (text: string): string => decodeBytes(encodeBytes(text));

/** The modifications of a message, and how often its handler reported progress. */
export class Modifications {
  readonly list: Modification[] = [];
  progress = 0;

  add({ kind, index, first, second }: Action): void {
    if (kind === ActionKind.progress) {
      this.progress++;
      return;
    }
    if (kind === ActionKind.replacebody) {
      this.#replaceBody(typeof first === 'string' ? encodeBytes(first) : Buffer.from(first));
      return;
    }
    const more = second === null ? null : overTheWire(second);
    this.list.push(modificationOf(kind, index, overTheWire(first as string), more));
  }

  /** Consecutive chunks are one modification. */
  #replaceBody(chunk: Buffer): void {
    const last = this.list.at(-1);
    if (last?.type === 'replacebody') {
      this.list[this.list.length - 1] = { type: 'replacebody', body: Buffer.concat([last.body, chunk]) };
    } else {
      this.list.push({ type: 'replacebody', body: chunk });
    }
  }
}

function modificationOf(
  kind: Exclude<ActionKind, typeof ActionKind.progress | typeof ActionKind.replacebody>,
  index: number,
  first: string,
  second: string | null,
): Modification {
  const value = second ?? '';
  const params = second === null ? {} : { params: second };
  switch (kind) {
    case ActionKind.addheader:
      return { type: 'addheader', name: first, value };
    case ActionKind.insheader:
      return { type: 'insheader', index, name: first, value };
    case ActionKind.chgheader:
      return { type: 'chgheader', index, name: first, value };
    case ActionKind.addrcpt:
    case ActionKind.addrcptPar:
      return { type: 'addrcpt', recipient: first, ...params };
    case ActionKind.delrcpt:
      return { type: 'delrcpt', recipient: first };
    case ActionKind.chgfrom:
      return { type: 'chgfrom', sender: first, ...params };
    case ActionKind.quarantine:
      return { type: 'quarantine', reason: first };
  }
}
