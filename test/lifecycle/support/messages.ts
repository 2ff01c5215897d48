/** What an MTA says that has nothing special to say. */
import { expect } from '@jest/globals';
import type { Message, MtaSession } from 'tsmilter/testing';
import type { FilterProcess } from './filter-process.js';

export const goodMessage: Message = {
  sender: '<a@client.example>',
  recipients: ['<b@example.com>'],
  headers: [
    ['Subject', 'lunch'],
    ['From', 'a@client.example'],
  ],
  body: 'At noon.\r\n',
};

/** Connects and says HELO; the host name steers the fixture (`deed.step`). */
export async function greet(session: MtaSession, steer = 'none.none'): Promise<void> {
  const connect = await session.connect(steer, { family: 'inet', address: '192.0.2.1', port: 4711 });
  expect(connect.verdict).toBe('continue');
  expect((await session.helo('client.example')).verdict).toBe('continue');
}

/** The control of every test: a session in which nothing bad is done goes as it should. */
export async function servesWell(filter: FilterProcess): Promise<void> {
  await using session = await filter.open();
  await greet(session);
  const { verdict, modifications } = await session.message(goodMessage);
  expect(verdict).toBe('continue');
  expect(modifications).toStrictEqual([{ type: 'addheader', name: 'X-Seen', value: 'yes' }]);
}
