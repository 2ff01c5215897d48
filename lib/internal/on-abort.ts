/** Listens to abort signals without the warning that Node gives for the eleventh listener. */

/** What is called for each signal. One listener of the signal serves all of them. */
const actionsBySignal = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Calls an action when a signal is aborted, or at once if it has been aborted. A signal may be followed by any number of
 * concurrent lookups, which is not a leak; its limit for other listeners stays as it is.
 *
 * @returns a function that ends the subscription
 */
export function onAbort(signal: AbortSignal, action: () => void): () => void {
  if (signal.aborted) {
    action();
    return () => {};
  }
  const actions = actionsBySignal.get(signal) ?? listenTo(signal);
  // A wrapper, so that the same function can be subscribed twice.
  const entry = () => action();
  actions.add(entry);
  return () => actions.delete(entry);
}

function listenTo(signal: AbortSignal): Set<() => void> {
  const actions = new Set<() => void>();
  actionsBySignal.set(signal, actions);
  signal.addEventListener(
    'abort',
    () => {
      for (const action of actions) action();
      actions.clear();
    },
    { once: true },
  );
  return actions;
}
