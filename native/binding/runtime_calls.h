// The addon's functions for the whole process: libmilter's settings, socket, start and stop.
// lib/addon/native.ts has their types.
#pragma once

#include "binding/napi_setup.h"

namespace milter {

void exportRuntimeCalls(Napi::Env env, Napi::Object exports);

}  // namespace milter
