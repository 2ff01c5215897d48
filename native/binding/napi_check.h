// Calls of Node-API in plain C, checked.
#pragma once

#include <cstdint>

#include "binding/napi_setup.h"

namespace milter {

// A call of Node-API failed: a JS exception is pending, or the environment is being torn down and no JS can
// run.
struct NapiFailure {};

inline void check(napi_status status) {
  if (status != napi_ok) throw NapiFailure();
}

inline napi_value numberToJs(napi_env env, uint32_t number) {
  napi_value value;
  check(napi_create_uint32(env, number, &value));
  return value;
}

}  // namespace milter
