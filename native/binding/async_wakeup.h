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
// - A call can be refused if the function's queue is bounded and full. MessageQueue makes one call each time
//   it becomes non-empty, so there is at most one waiting, and the queue needs no bound.
// - Node delivers up to 1,000 calls of a function before it returns to the event loop. Under load the next
//   call arrives while one is delivered, so timers and sockets of the filter would wait for all of them. For
//   this reason there are two functions, used in turn: a call of the one that is not being delivered waits
//   for the loop.
// - Node holds the function's own lock while it signals the loop. Nothing that the JS thread does with that
//   lock waits for one of ours, so it is last in the lock order.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>

#include "binding/napi_setup.h"

namespace milter {

class EnvironmentState;

class AsyncWakeup {
 public:
  AsyncWakeup() = default;
  AsyncWakeup(const AsyncWakeup&) = delete;
  AsyncWakeup& operator=(const AsyncWakeup&) = delete;

  // On the environment's thread, as are all but wake(). Each wake-up calls state.deliverPending(deliver) the
  // way an event loop does: in a handle scope, with promises and process.nextTick() to follow. It keeps the
  // loop alive until unref(). Once, before all others. Throws a Napi::Error.
  void create(const Napi::Function& deliver, EnvironmentState& state);

  // Any thread, until close() begins. Waits for nothing.
  void wake() const { functions_[turn_.load(std::memory_order_relaxed)].NonBlockingCall(); }

  // A wake-up is being delivered. From here on wake() uses the other function if this one has had its time.
  void delivering();

  // Lets the loop end.
  void unref(Napi::Env env) const;

  // No wake-up may follow.
  void close();

 private:
  static void onWake(Napi::Env env, Napi::Function deliver, EnvironmentState* state, void* data);
  using Function = Napi::TypedThreadSafeFunction<EnvironmentState, void, &AsyncWakeup::onWake>;
  using Clock = std::chrono::steady_clock;

  std::array<Function, 2> functions_;
  // Which of them wake() calls. It does not matter to which of two turns a wake-up belongs that comes at the
  // moment of the change.
  std::atomic<size_t> turn_{0};
  Clock::time_point turnBegan_;
};

}  // namespace milter
