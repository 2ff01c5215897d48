/** The signals that stop a filter. */
const STOP_SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/**
 * Calls `stop` on SIGTERM and SIGINT: without a time limit of its own for the first signal, with 0 for those after it,
 * since whoever repeats a signal wants the process to end now.
 * @returns a function that stops listening
 */
export function onStopSignals(stop: (drainTimeout?: number) => void): () => void {
  let signalled = false;
  const onSignal = () => {
    stop(signalled ? 0 : undefined);
    signalled = true;
  };
  for (const signal of STOP_SIGNALS) process.on(signal, onSignal);
  return () => {
    for (const signal of STOP_SIGNALS) process.off(signal, onSignal);
  };
}
