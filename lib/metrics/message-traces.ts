/** A span of OpenTelemetry for each message, if the application has set up a tracer. */
import { STEP_NAMES } from '../addon/steps.js';
import { errorText } from '../internal/error-text.js';
import { writeLine } from '../internal/output.js';
import type { MessageRecord } from '../session/message-record.js';
import type { Observer, SessionFacts } from '../session/observer.js';

type OpenTelemetry = typeof import('@opentelemetry/api');

const IS_FILE_OF_API = /[/\\]@opentelemetry[/\\]api[/\\]/;

/**
 * The package, which is optional; null if the program has not loaded it, and so has no tracer. Loading its forty files for each filter
 * beside which it happens to be installed would cost a tenth of the start.
 */
function loadOpenTelemetry(): OpenTelemetry | null {
  if (!Object.keys(require.cache).some((file) => IS_FILE_OF_API.test(file))) return null;
  try {
    return require('@opentelemetry/api') as OpenTelemetry;
  } catch {
    return null;
  }
}

/** Whether the application has registered a tracer: the package's own does nothing, but would cost time for each message. */
function hasTracer({ trace, ProxyTracerProvider }: OpenTelemetry): boolean {
  const provider = trace.getTracerProvider();
  if (!(provider instanceof ProxyTracerProvider)) return true;
  return provider.getDelegate() !== new ProxyTracerProvider().getDelegate();
}

/** Makes a span for each message, from its first event to its end; null if nothing would get it. */
export function messageTraces(): Observer | null {
  const api = loadOpenTelemetry();
  if (!api || !hasTracer(api)) return null;
  const tracer = api.trace.getTracer('tsmilter');
  return {
    messageEnded: (session, message) => {
      // The MTA is waiting, and a sampler or a processor of spans is the application's own.
      try {
        const span = tracer.startSpan('milter message', {
          kind: api.SpanKind.SERVER,
          // By the clock of its end, which may have been set meanwhile; performance.now() stands still while a machine sleeps.
          startTime: Date.now() - (performance.now() - message.begun),
          attributes: attributesOf(session, message),
        });
        span.end();
      } catch (error) {
        writeLine(process.stderr, `OpenTelemetry has failed: ${errorText(error)}`);
      }
    },
  };
}

function attributesOf({ session, client }: SessionFacts, message: MessageRecord) {
  const { queueId, sender, outcome, step, recipientCount, refusedCount, bodyBytes, milliseconds } = message;
  return {
    'milter.session': session ?? '',
    'milter.verdict': outcome,
    'milter.step': STEP_NAMES[step] as string,
    'milter.recipients': recipientCount,
    'milter.recipients.refused': refusedCount,
    'milter.body.bytes': bodyBytes,
    'milter.handlers.ms': milliseconds,
    ...(queueId === null ? {} : { 'milter.queue_id': queueId }),
    ...(client === null ? {} : { 'client.address': client }),
    ...(sender === null ? {} : { 'milter.sender': sender }),
  };
}
