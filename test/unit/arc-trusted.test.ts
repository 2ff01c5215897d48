/** mayBeTrusted and trustedSealer of tsmilter/arc: whose seals count. */
import { expect, it } from '@jest/globals';
import { mayBeTrusted } from 'tsmilter/arc';

it.each([
  ['lists.example', 'lists.example', true],
  ['lists.example', 'Lists.EXAMPLE.', true],
  ['a.lists.example', '.lists.example', true],
  ['lists.example', '.lists.example', false],
  ['xn--mnchen-3ya.example', 'münchen.example', true],
  ['a.xn--mnchen-3ya.example', '.münchen.example', true],
  ['a.xn--mnchen-3ya.example', '.XN--mnchen-3ya.example', true],
  ['mylists.example', 'lists.example', false],
])('a seal of %s is one of %s: %s', (domain, sealer, expected) => {
  const arc = { result: 'temperror', sets: [{ instance: 1, domain }] };
  expect(mayBeTrusted(arc as never, [sealer])).toBe(expected);
});
