/** Carries out the edits of a transaction by libmilter's actions, at the end of the message. */
import { P_HDR_LEADSPC } from '../addon/constants.js';
import type { Base } from '../filter/base.js';
import { piecesOf } from './body.js';
import { headerChanges } from './header-changes.js';
import { sendable } from './header-field.js';
import type { Transaction } from './transaction.js';

/** Below the Received field that the MTA adds itself: the only place above the message that is the same with both MTAs. */
const TOP = 1;

/**
 * Sends the edits to the MTA.
 * @throws MilterError ERR_MILTER_DISABLED_ACTION if the MTA does not allow such a change, and what the actions throw
 */
export async function applyEdits(filter: Base, transaction: Transaction): Promise<void> {
  applyHeaders(filter, transaction);
  const { sender, body, quarantine } = transaction.edits;
  if (sender) filter.chgfrom(sender.wire, sender.esmtp);
  const { added, removed } = transaction.recipients.changes;
  for (const recipient of removed) filter.delrcpt(recipient.wire);
  for (const recipient of added) filter.addrcpt(recipient.wire, recipient.esmtp);
  if (quarantine !== null) filter.quarantine(quarantine);
  // Last, and in a row: Postfix allows no other action between the pieces of a body.
  if (body === null) return;
  let size = 0;
  for await (const piece of piecesOf(body)) {
    filter.replacebody(piece);
    size += piece.length;
  }
  if (size === 0) filter.replacebody('');
}

function applyHeaders(filter: Base, { headers, edits: { received } }: Transaction): void {
  // An MTA that does not pass the space after the colon adds one by itself.
  const keepsSpace = (filter.context.protocol & P_HDR_LEADSPC) !== 0;
  const value = (wire: string) => (keepsSpace ? sendable(wire) : sendable(wire).replace(/^ /, ''));
  for (const change of headerChanges(received, [...headers])) {
    switch (change.kind) {
      case 'change':
        filter.chgheader(change.name, change.index, value(change.wire));
        break;
      case 'delete':
        filter.chgheader(change.name, change.index, null);
        break;
      case 'insert':
        filter.addheader(change.name, value(change.wire), TOP);
        break;
      case 'append':
        filter.addheader(change.name, value(change.wire));
        break;
    }
  }
}
