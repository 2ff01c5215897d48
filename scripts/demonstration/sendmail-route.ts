/** Sends messages to a real Sendmail on loopback, which uses the filter and delivers to an SMTP sink in this process. */
import { type Mta, type Reply, Sink, SmtpClient, startSendmail } from '../../tools/mta';
import { type Outcome, RECIPIENT, type Sample, SENDER, textOf } from './messages';
import type { Route } from './route';

export class SendmailRoute implements Route {
  readonly titles: Route['titles'];
  readonly #sink: Sink;
  readonly #mta: Mta;
  #taken = 0;

  static async open(socket: string): Promise<SendmailRoute> {
    const sink = await Sink.start();
    try {
      const mta = await startSendmail({ filters: { unix: socket }, sinkPort: sink.port });
      return new SendmailRoute(sink, mta);
    } catch (error) {
      await sink.stop();
      throw error;
    }
  }

  private constructor(sink: Sink, mta: Mta) {
    this.#sink = sink;
    this.#mta = mta;
    this.titles = { dialogue: `SMTP with Sendmail ${mta.version}`, delivered: 'Delivered' };
  }

  async send(sample: Sample): Promise<Outcome> {
    const dialogue: string[] = [];
    const { host, port } = this.#mta.endpoints.unix;
    const { at, helo = 'client.example', from = SENDER } = sample;
    const client = await SmtpClient.open(host, port, at === undefined ? {} : { localAddress: at });
    const record = (reply: Reply) => {
      const lines = reply.raw.toString('latin1').trimEnd().split('\r\n');
      dialogue.push(...lines.map((line) => `S: ${line}`));
      return reply;
    };
    const say = async (line: string) => {
      dialogue.push(`C: ${line}`);
      return record(await client.command(line));
    };
    try {
      record(client.greeting);
      await say(`EHLO ${helo}`);
      await say(`MAIL FROM:<${from}>`);
      let { code } = await say(`RCPT TO:<${RECIPIENT}>`);
      if (code === 250) {
        await say('DATA');
        const text = textOf(sample);
        dialogue.push(...text.split('\r\n').map((line) => `C: ${line}`.trimEnd()));
        dialogue[dialogue.length - 1] = 'C: .';
        ({ code } = record(await client.content(text)));
      }
      await say('QUIT');
      const accepted = code === 250;
      return { dialogue, accepted, delivered: await this.#delivered(accepted) };
    } finally {
      client.destroy();
    }
  }

  async #delivered(accepted: boolean): Promise<string | null> {
    // Sendmail delivers before it answers the final dot (confDELIVERY_MODE in tools/mta/templates/sendmail.mc), so a
    // message that has not arrived by then was not delivered.
    if (!accepted && this.#sink.messages.length === this.#taken) return null;
    this.#taken++;
    return (await this.#sink.next()).text;
  }
  async close(): Promise<void> {
    await this.#mta.stop();
    await this.#sink.stop();
  }
}
