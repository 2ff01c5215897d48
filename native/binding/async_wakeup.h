// Wakes a JS thread's event loop from any thread, so that it delivers what is in its message queue.
//
// This is Node-API's thread-safe function, called without data: the queue is MessageQueue's own. What
// Node-API asks of those who use one, and how that is met here:
//
// - No thread may use the function after it has been finalized, and Node finalizes it when its environment
//   ends, whoever still uses it (nodejs/node issues 38775 and 55706). MessageQueue calls wake() with a lock
//   held and never after its close(), which an environment cleanup hook calls. Cleanup hooks run in the
//   reverse order of their registration, so a hook that is added after create() runs before Node's own, which
//   closes the function. That is why wake() never gets napi_closing.
// - Each thread that uses the function needs a reference. All wake-ups share the one from create(), which
//   close() gives back once no wake-up can follow; Node frees the function with the last reference.
// - close() aborts rather than releases: a released function first runs the calls in its queue, and there no
//   JS can run any more. What is queued is then passed to the callback without an environment, which ignores
//   it; nothing is lost, for a call carries no data.
// - A call can be refused where the function's queue is bounded and full. MessageQueue makes one call each
//   time it becomes non-empty, so there is at most one waiting, and the queue needs no bound.
// - Node holds the function's own lock while it signals the loop. Nothing that the JS thread does with that
//   lock waits for one of ours, so it is last in the lock order.
#pragma once

#include "binding/napi_setup.h"

namespace milter {

class EnvironmentState;

// A handle: copies wake the same loop.
class AsyncWakeup {
 public:
  AsyncWakeup() = default;

  // On the environment's thread, as are all but wake(). Each wake-up calls state.deliverPending(deliver) the
  // way an event loop does: in a handle scope, with promises and process.nextTick() to follow. It keeps the
  // loop alive until unref(). Throws a Napi::Error.
  static AsyncWakeup create(const Napi::Function& deliver, EnvironmentState& state);

  // Any thread, until close() begins. Waits for nothing.
  void wake() const { function_.NonBlockingCall(); }

  // Lets the loop end.
  void unref(Napi::Env env) const { function_.Unref(env); }

  // No wake-up may follow.
  void close() { function_.Abort(); }

 private:
  static void onWake(Napi::Env env, Napi::Function deliver, EnvironmentState* state, void* data);
  using Function = Napi::TypedThreadSafeFunction<EnvironmentState, void, &AsyncWakeup::onWake>;

  explicit AsyncWakeup(const Function& function) : function_(function) {}

  Function function_;
};

}  // namespace milter
