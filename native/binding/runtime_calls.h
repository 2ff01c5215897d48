// What belongs to the process: libmilter's settings, its socket, its start and stop. lib/addon/native.ts has
// the types.
#pragma once

#include "binding/napi_setup.h"

namespace milter {

void exportRuntimeCalls(Napi::Env env, Napi::Object exports);

}  // namespace milter
