/** The session of an ordinary MTA. */
import { expect } from '@jest/globals';
import type { Message, MtaSession } from 'tsmilter/testing';
import type { ObservedFilter } from './observed-filter.js';

export const goodMessage: Message = {
  sender: '<a@client.example>',
  recipients: ['<b@example.com>'],
  headers: [
    ['Subject', 'lunch'],
    ['From', 'a@client.example'],
  ],
  body: 'At noon.\r\n',
};

/** Sends connect and HELO; the host name controls the fixture (`behaviour.step`). */
export async function greet(session: MtaSession, steer = 'none.none'): Promise<void> {
  const connect = await session.connect(steer, { family: 'inet', address: '192.0.2.1', port: 4711 });
  expect(connect.verdict).toBe('continue');
  expect((await session.helo('client.example')).verdict).toBe('continue');
}

/** The control of every test: an ordinary session works. */
export async function servesWell(filter: ObservedFilter): Promise<void> {
  await using session = await filter.open();
  await greet(session);
  const { verdict, modifications } = await session.message(goodMessage);
  expect(verdict).toBe('continue');
  expect(modifications).toStrictEqual([{ type: 'addheader', name: 'X-Seen', value: 'yes' }]);
}
