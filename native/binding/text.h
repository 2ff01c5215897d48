// Strings between the MTA's bytes and JavaScript (lib/internal/bytes.ts says why and does the same).
#pragma once

#include <string>
#include <string_view>

#include "binding/napi_setup.h"

namespace milter {

// Decodes UTF-8. Bytes that are not UTF-8 become lone surrogates U+DC80..U+DCFF. Null if the environment
// cannot create a string.
napi_value toJs(napi_env env, std::string_view bytes);

// Encodes UTF-8, and turns such surrogates back into their bytes. Throws a TypeError if `value` is not a
// string or contains a NUL, which would silently end the string inside libmilter (R8).
std::string textFrom(const Napi::Value& value);

}  // namespace milter
