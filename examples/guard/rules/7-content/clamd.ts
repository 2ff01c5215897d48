import { Clamd } from 'tsmilter/scan';
import { defineRule } from '../../rule';
import { scanned, scannerAt, scannerOptions } from '../../scanner';
import { shown } from '../../shown';

export const clamd = defineRule({
  name: 'clamd',
  step: 'content',
  doc: 'ClamAV has found a virus.',
  clients: ['internal', 'authenticated', 'relay', 'external', 'dynamic'],
  options: scannerOptions('/run/clamav/clamd.ctl'),
  prepare(options, { report }) {
    const at = scannerAt(options);
    return { scanner: at && new Clamd(at), failure: options.failure, report };
  },
  async check({ message, signal }, { scanner, failure, report }) {
    if (scanner === null) return null;
    const scan = async () => {
      const result = await scanner.scan(message.source(), { signal });
      if (!result.infected) return null;
      const virus = shown(result.virus);
      return { reason: `virus ${virus}`, reply: `Your message has a virus: ${virus}` };
    };
    return scanned(scan, failure, report);
  },
});
