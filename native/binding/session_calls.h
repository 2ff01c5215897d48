// What a JS context calls for the session in its slot. lib/addon/native.ts has the types.
#pragma once

#include "binding/napi_setup.h"

namespace milter {

void exportSessionCalls(Napi::Env env, Napi::Object exports);

}  // namespace milter
