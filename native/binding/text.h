// Strings between the MTA's bytes and JavaScript (lib/internal/bytes.ts says why and does the same).
#pragma once

#include <string>
#include <string_view>

#include "binding/napi_setup.h"

namespace milter {

// UTF-8; bytes that are not become lone surrogates U+DC80..U+DCFF. Null where the environment can make no
// string.
napi_value toJs(napi_env env, std::string_view bytes);

// The other way. Throws a TypeError for what is not a string, and for an embedded NUL, which would end the
// string silently inside libmilter (R8).
std::string textFrom(const Napi::Value& value);

}  // namespace milter
