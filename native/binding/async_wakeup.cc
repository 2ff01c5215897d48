#include "binding/async_wakeup.h"

#include "binding/environment_state.h"

namespace milter {

AsyncWakeup AsyncWakeup::create(const Napi::Function& deliver, EnvironmentState& state) {
  constexpr size_t kUnbounded = 0;
  constexpr size_t kReferences = 1;
  return AsyncWakeup(Function::New(deliver.Env(), deliver, "tsmilter", kUnbounded, kReferences, &state));
}

void AsyncWakeup::onWake(Napi::Env env, Napi::Function deliver, EnvironmentState* state, void*) {
  const bool closed = static_cast<napi_env>(env) == nullptr;
  if (!closed) state->deliverPending(deliver);
}

}  // namespace milter
