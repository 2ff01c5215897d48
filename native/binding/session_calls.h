// The addon's functions for one session, which its JS context calls. lib/addon/native.ts has their types.
#pragma once

#include "binding/napi_setup.h"

namespace milter {

void exportSessionCalls(Napi::Env env, Napi::Object exports);

}  // namespace milter
