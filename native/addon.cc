// The addon's entry point: an EnvironmentState for each JS environment, and the functions that
// lib/addon/native.ts declares.
#include "binding/environment_state.h"
#include "binding/napi_setup.h"
#include "binding/runtime_calls.h"
#include "binding/session_calls.h"

namespace {

Napi::Object init(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new milter::EnvironmentState(env));
  milter::exportRuntimeCalls(env, exports);
  milter::exportSessionCalls(env, exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(tsmilter, init)
