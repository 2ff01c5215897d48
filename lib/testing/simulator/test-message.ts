/** A message as the MTA has it, with the filter's modifications. */
import type { Modification } from '../wire/replies.js';

/**
 * Which MTA's way of changing headers applies (docs/headers.md):
 *
 * - `postfix`: deleting a header renumbers the later ones; addheader adds at the end.
 * - `sendmail`: deleting only marks a header, so that indexes stay and changing a deleted header restores it; addheader adds
 *   before the first header of that name, if there is one; insheader's indexes 1 to 8 are the same place.
 */
export type HeaderRules = 'sendmail' | 'postfix';

/** A header: its name, and its value without the space after the colon. */
export type Header = readonly [name: string, value: string];

/** A recipient. */
export interface Recipient {
  /** As the client typed it, with or without `<>`. */
  readonly address: string;
  /** ESMTP parameters. */
  readonly params: readonly string[];
}

interface Entry {
  name: string;
  value: string;
  deleted: boolean;
  /** The MTA's own Received header, which no filter sees but insheader counts. */
  readonly own: boolean;
}

/** Headers that Sendmail keeps hidden below its own Received header and counts in insheader. */
const HIDDEN_IN_SENDMAIL = 7;

const bare = (address: string): string => address.replace(/^<(.*)>$/s, '$1');
const words = (params: string | undefined): string[] => (params ?? '').split(' ').filter(Boolean);

export class TestMessage {
  /** The envelope sender: as the client typed it, or as changed by chgfrom. */
  sender: string;
  /** Its ESMTP parameters. */
  senderParams: readonly string[];
  /** The recipients that the filter accepted or added, and did not delete. */
  recipients: Recipient[] = [];
  /** The recipients that the filter added, in its order. */
  readonly added: Recipient[] = [];
  /** The recipients that the filter deleted, as it spelled them, whether or not the message had them. */
  readonly deleted: string[] = [];
  /** The body, or its replacement. */
  body: Buffer = Buffer.alloc(0);
  /** Whether the body was replaced. */
  bodyReplaced = false;
  /** The reason why the message is in quarantine; null if it is not. */
  quarantine: string | null = null;
  readonly #rules: HeaderRules;
  readonly #entries: Entry[] = [{ name: 'Received', value: '', deleted: false, own: true }];

  constructor(rules: HeaderRules, sender: string, senderParams: readonly string[]) {
    this.#rules = rules;
    this.sender = sender;
    this.senderParams = senderParams;
  }

  /** The headers in their order, without the MTA's own Received. */
  get headers(): Header[] {
    return this.#entries
      .filter(({ own, deleted }) => !own && !deleted)
      .map(({ name, value }): Header => [name, value]);
  }

  /** The values of a header, in order; the case of the name does not matter. */
  header(name: string): string[] {
    return this.headers.filter(([found]) => sameName(found, name)).map(([, value]) => value);
  }

  /** @internal Adds a header as it was received. */
  receive(name: string, value: string): void {
    this.#entries.push({ name, value, deleted: false, own: false });
  }

  /** @internal Makes a modification that a filter has asked for. */
  apply(modification: Modification): void {
    switch (modification.type) {
      case 'addheader':
        this.#add(modification.name, modification.value);
        break;
      case 'insheader':
        this.#insert(modification.index, modification.name, modification.value);
        break;
      case 'chgheader':
        this.#change(modification.index, modification.name, modification.value);
        break;
      case 'addrcpt': {
        const recipient = { address: modification.recipient, params: words(modification.params) };
        this.added.push(recipient);
        this.recipients.push(recipient);
        break;
      }
      case 'delrcpt': {
        const gone = bare(modification.recipient);
        this.deleted.push(modification.recipient);
        this.recipients = this.recipients.filter(({ address }) => bare(address) !== gone);
        break;
      }
      case 'chgfrom':
        this.sender = modification.sender;
        this.senderParams = words(modification.params);
        break;
      case 'replacebody':
        this.body = this.bodyReplaced ? Buffer.concat([this.body, modification.body]) : modification.body;
        this.bodyReplaced = true;
        break;
      case 'quarantine':
        this.quarantine = modification.reason;
        break;
    }
  }

  #add(name: string, value: string): void {
    const first =
      this.#rules === 'sendmail'
        ? this.#entries.findIndex((entry) => !entry.own && sameName(entry.name, name))
        : -1;
    const at = first < 0 ? this.#entries.length : first;
    this.#entries.splice(at, 0, { name, value, deleted: false, own: false });
  }

  #insert(index: number, name: string, value: string): void {
    const at = this.#rules === 'sendmail' && index > 0 ? Math.max(1, index - HIDDEN_IN_SENDMAIL) : index;
    this.#entries.splice(at, 0, { name, value, deleted: false, own: false });
  }

  #change(index: number, name: string, value: string): void {
    const named = this.#entries.filter((entry) => !entry.own && sameName(entry.name, name));
    const entry = named[Math.max(index, 1) - 1];
    if (!entry) {
      if (value !== '') this.#add(name, value);
    } else if (value !== '') {
      entry.value = value;
      entry.deleted = false;
    } else if (this.#rules === 'sendmail') {
      entry.deleted = true;
    } else {
      this.#entries.splice(this.#entries.indexOf(entry), 1);
    }
  }
}

function sameName(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}
