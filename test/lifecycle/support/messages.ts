/** What an MTA says that has nothing special to say. */
import assert from 'node:assert/strict';
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
  assert.equal(connect.verdict, 'continue');
  assert.equal((await session.helo('client.example')).verdict, 'continue');
}

/** The control of every test: a session in which nothing bad is done goes as it should. */
export async function servesWell(filter: FilterProcess): Promise<void> {
  await using session = await filter.open();
  await greet(session);
  const { verdict, modifications } = await session.message(goodMessage);
  assert.equal(verdict, 'continue');
  assert.deepEqual(modifications, [{ type: 'addheader', name: 'X-Seen', value: 'yes' }]);
}
