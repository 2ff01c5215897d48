/** The edits of a header document, and the actions that carry them out: the same result with both MTAs. */
import { describe, expect, it } from '@jest/globals';
import { type HeaderChange, headerChanges } from '#lib/message/header-changes.js';
import { HeaderField } from '#lib/message/header-field.js';
import { Headers } from '#lib/message/headers.js';
import { errorWith, expectThat } from '../support/expect.js';
import { randomNumbers } from '../support/random.js';

type Entry = { name: string; wire: string; deleted?: boolean };

const same = (entry: Entry, name: string) => entry.name.toLowerCase() === name.toLowerCase();

/** What Postfix does with the actions: a deleted field is gone, a new one comes to the end. */
function postfix(before: readonly HeaderField[], changes: readonly HeaderChange[]): Entry[] {
  const list: Entry[] = before.map(({ name, wire }) => ({ name, wire }));
  for (const change of changes) {
    if (change.kind === 'insert') list.unshift({ name: change.name, wire: change.wire });
    else if (change.kind === 'append') list.push({ name: change.name, wire: change.wire });
    else {
      const found = list.filter((entry) => same(entry, change.name))[change.index - 1] as Entry;
      if (change.kind === 'change') found.wire = change.wire;
      else list.splice(list.indexOf(found), 1);
    }
  }
  return list;
}

/** What Sendmail does: a deleted field is marked and still counts, a further field of a name comes before the first. */
function sendmail(before: readonly HeaderField[], changes: readonly HeaderChange[]): Entry[] {
  const list: Entry[] = before.map(({ name, wire }) => ({ name, wire }));
  for (const change of changes) {
    if (change.kind === 'insert') list.unshift({ name: change.name, wire: change.wire });
    else if (change.kind === 'append') {
      const at = list.findIndex((entry) => same(entry, change.name));
      list.splice(at < 0 ? list.length : at, 0, { name: change.name, wire: change.wire });
    } else {
      const found = list.filter((entry) => same(entry, change.name))[change.index - 1] as Entry;
      if (change.kind === 'change') Object.assign(found, { wire: change.wire, deleted: false });
      else found.deleted = true;
    }
  }
  return list.filter(({ deleted }) => !deleted).map(({ name, wire }) => ({ name, wire }));
}

const NAMES = ['Subject', 'To', 'X-A', 'x-a', 'X-B', 'Received', 'DKIM-Signature'];

/** A document and another one that random edits have made of it. */
function randomDocuments(pick: (below: number) => number, most: number): [HeaderField[], HeaderField[]] {
  const field = () =>
    new HeaderField(NAMES[pick(NAMES.length)] as string, [' a', ' b', 'c', '', '  d\n e'][pick(5)] as string);
  const before = Array.from({ length: pick(most) }, field);
  const after = [...before];
  for (let edits = pick(6); edits > 0; edits--) {
    const at = pick(after.length + 1);
    const kind = pick(3);
    const inserted = pick(2) === 0 ? field() : new HeaderField(`X-New-${pick(3)}`, ' new');
    after.splice(at, kind === 0 ? 0 : 1, ...(kind === 2 ? [] : [inserted]));
  }
  return [before, after];
}

const plain = (fields: readonly HeaderField[]) => fields.map(({ name, wire }) => ({ name, wire }));

describe('the changes from one document to another', () => {
  it.each([
    ['small documents', 20_000, 8],
    ['documents of which all fields are compared one by one', 40, 400],
    ['documents that are too large for this', 4, 2_500],
  ])('give the same on both MTAs: %s', (_, rounds, most) => {
    const pick = randomNumbers(rounds);
    for (let round = 0; round < rounds; round++) {
      const [before, after] = randomDocuments(pick, most);
      const changes = headerChanges(before, after);
      const expected = JSON.stringify(plain(after));
      for (const model of [postfix, sendmail]) {
        const found = JSON.stringify(model(before, changes));
        // Not one expectation for each round: they take longer than the rounds.
        if (found !== expected) expectThat(found, `${model.name}, round ${round}`).toBe(expected);
      }
    }
  });

  const [a, b, c] = ['A', 'B', 'C'].map((name) => new HeaderField(name, ' 1')) as [
    HeaderField,
    HeaderField,
    HeaderField,
  ];
  const other = (name: string) => new HeaderField(name, ' 2');

  it.each<[string, HeaderField[], HeaderField[], string[]]>([
    ['nothing', [a, b], [a, b], []],
    ['another value', [a, b, c], [a, other('B'), c], ['change B 1']],
    ['one at the top', [a, b], [other('X'), a, b], ['insert X']],
    ['one at the end', [a, b], [a, b, other('X')], ['append X']],
    [
      'one of a name that is there at the end',
      [a, b],
      [a, b, other('A')],
      ['change A 1', 'delete B 1', 'insert B', 'insert A'],
    ],
    ['one in the middle', [a, b, c], [a, other('X'), b, c], ['delete A 1', 'insert X', 'insert A']],
    ['the first of two values', [a, other('A'), b], [other('A'), b], ['delete A 1']],
    ['a second value before the first', [a, b], [other('A'), a, b], ['insert A']],
    ['two are exchanged', [a, b], [b, a], ['delete B 1', 'insert B']],
  ])('are as few as possible: %s', (_, before, after, expected) => {
    const spelled = headerChanges(before, after).map(
      (change) => `${change.kind} ${change.name}${'index' in change ? ` ${change.index}` : ''}`,
    );
    expect(spelled).toStrictEqual(expected);
  });

  it('change no value to an empty one, which would delete the field', () => {
    const changes = headerChanges([a, b], [a, new HeaderField('B', ' ')]);
    expect(changes.some(({ kind }) => kind === 'change')).toBe(false);
  });
});

describe('Headers', () => {
  const document = () =>
    new Headers([
      new HeaderField('Received', ' by a'),
      new HeaderField('Subject', ' =?utf-8?q?gr=C3=BC=C3=9Fe?=\n  to all'),
      new HeaderField('X-Tag', ' one'),
      new HeaderField('x-tag', ' two'),
    ]);
  const names = (headers: Headers) => [...headers].map(({ name }) => name).join(' ');

  it('reads values as they are, unfolded and decoded', () => {
    const headers = document();
    expect(headers.get('subject')).toBe('grüße  to all');
    expect(headers.field('SUBJECT')?.unfolded).toBe('=?utf-8?q?gr=C3=BC=C3=9Fe?=  to all');
    expect(headers.field('Subject')?.bytes.toString()).toBe(
      'Subject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\n  to all\r\n',
    );
    expect(headers.getAll('X-TAG')).toStrictEqual(['one', 'two']);
    expect(headers.get('X-None')).toBeNull();
    expect(headers.has('__proto__')).toBe(false);
  });

  it('edits by name and place', () => {
    const headers = document();
    headers.set('X-TAG', 'only');
    headers.prepend('X-Top', 't');
    headers.insertAfter('Received', 'X-After', 'a');
    headers.insertBefore(headers.field('Subject') as HeaderField, 'X-Before', 'b');
    headers.add('X-End', 'e');
    expect(names(headers)).toBe('X-Top Received X-After X-Before Subject X-Tag X-End');
    expect(headers.get('X-Tag')).toBe('only');
    expect(headers.rename('subject', 'Old-Subject')).toBe(1);
    expect(headers.delete('x-top')).toBe(1);
    expect(headers.delete('x-top')).toBe(0);
    expect(names(headers)).toBe('Received X-After X-Before Old-Subject X-Tag X-End');
  });

  it('writes text that is not ASCII in encoded words', () => {
    const headers = new Headers();
    headers.add('Subject', 'grüße');
    expect(headers.field('Subject')?.wire).toMatch(/^ =\?utf-8\?q\?gr/i);
    expect(headers.get('Subject')).toBe('grüße');
  });

  it.each<[string, (headers: Headers) => unknown]>([
    ['a name with a colon', (headers) => headers.add('X:', 'x')],
    ['a value that would begin another field', (headers) => headers.set('Subject', 'x\nBcc: y')],
    ['a place that is not there', (headers) => headers.insertAfter('X-None', 'X', 'x')],
    [
      'a field that was removed',
      (headers) => {
        const field = headers.field('Subject') as HeaderField;
        headers.delete(field);
        headers.insertBefore(field, 'X', 'x');
      },
    ],
    ['a field that Sendmail would not deliver', (headers) => headers.add('Bcc', '<a@b.example>')],
    ['a rename to no name', (headers) => headers.rename('Subject', '')],
  ])('refuses %s', (_, edit) => {
    expect(() => edit(document())).toThrow(errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT' }));
  });
});
