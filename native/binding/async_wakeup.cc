#include "binding/async_wakeup.h"

#include "binding/environment_state.h"

namespace milter {
namespace {

// How long wake-ups may follow one another before the event loop has its turn: short for a timer, and long
// enough that the system calls of a turn of the loop do not show (docs/performance.md).
constexpr auto kTurn = std::chrono::milliseconds(5);

}  // namespace

void AsyncWakeup::create(const Napi::Function& deliver, EnvironmentState& state) {
  constexpr size_t kUnbounded = 0;
  constexpr size_t kReferences = 1;
  for (Function& function : functions_) {
    function = Function::New(deliver.Env(), deliver, "tsmilter", kUnbounded, kReferences, &state);
  }
}

void AsyncWakeup::delivering() {
  const Clock::time_point now = Clock::now();
  if (now - turnBegan_ < kTurn) return;
  turnBegan_ = now;
  turn_.store(1 - turn_.load(std::memory_order_relaxed), std::memory_order_relaxed);
}

void AsyncWakeup::unref(Napi::Env env) const {
  for (const Function& function : functions_) function.Unref(env);
}

void AsyncWakeup::close() {
  for (Function& function : functions_) function.Abort();
}

void AsyncWakeup::onWake(Napi::Env env, Napi::Function deliver, EnvironmentState* state, void*) {
  const bool closed = static_cast<napi_env>(env) == nullptr;
  if (!closed) state->deliverPending(deliver);
}

}  // namespace milter
