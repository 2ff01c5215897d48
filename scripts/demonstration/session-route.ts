/** Works without an MTA: MtaSession takes its place, and the delivered message is computed from the filter's modifications. */
import { type MessageResult, MtaSession } from 'tsmilter/testing';
import { type Outcome, RECIPIENT, type Sample, SENDER } from './messages';
import type { Route } from './route';

export class SessionRoute implements Route {
  readonly titles: Route['titles'] = {
    dialogue: 'Milter protocol with MtaSession',
    delivered: 'What an MTA would deliver',
  };
  readonly #socket: string;

  constructor(socket: string) {
    this.#socket = socket;
  }

  async send(sample: Sample): Promise<Outcome> {
    const mta = await MtaSession.open(this.#socket, { macros: { connect: { j: 'mx.example.com' } } });
    const dialogue: string[] = [];
    try {
      const connected = await mta.connect('client.example', {
        family: 'inet',
        address: '192.0.2.1',
        port: 40_000,
      });
      dialogue.push('connect client.example [192.0.2.1]', `  ${connected.verdict}`);
      dialogue.push('helo client.example', `  ${(await mta.helo('client.example')).verdict}`);
      const result = await mta.message({
        sender: `<${SENDER}>`,
        recipients: [`<${RECIPIENT}>`],
        headers: sample.headers,
        body: [...sample.body, ''].join('\r\n'),
      });
      const { reply } = result.response;
      dialogue.push(
        `mail <${SENDER}>`,
        `rcpt <${RECIPIENT}>`,
        'data',
        ...sample.headers.map(([name, value]) => `header ${name}: ${value}`),
        'eoh',
        'body',
        ...sample.body.map((line) => `  ${line}`.trimEnd()),
        'eom',
        ...result.modifications.map(({ type }) => `  ${type}`),
        `  ${result.verdict}${reply === undefined ? '' : `: ${reply.text}`}`,
        'quit',
      );
      await mta.quit();
      const accepted = result.verdict === 'accept' || result.verdict === 'continue';
      return { dialogue, accepted, delivered: accepted ? modified(sample, result) : null };
    } finally {
      mta.destroy();
    }
  }

  async close(): Promise<void> {}
}

/** Applies to the message those kinds of modifications that the sample filter makes. */
function modified(sample: Sample, { modifications }: MessageResult): string {
  const headers = sample.headers.map(([name, value]): [string, string] => [name, value]);
  let body = [...sample.body, ''].join('\r\n');
  for (const change of modifications) {
    if (change.type === 'replacebody') body = change.body.toString();
    if (change.type === 'addheader') headers.push([change.name, change.value]);
    if (change.type === 'chgheader') {
      const same = headers.filter(([name]) => name.toLowerCase() === change.name.toLowerCase());
      const header = same[change.index - 1];
      if (header) header[1] = change.value;
    }
  }
  return `${headers.map(([name, value]) => `${name}: ${value}`).join('\r\n')}\r\n\r\n${body}`;
}
