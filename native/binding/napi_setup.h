// The only place that includes Node-API, so that its version and its exception mode are chosen once.
#pragma once

#ifndef NAPI_VERSION
#define NAPI_VERSION 8
#endif
#ifndef NAPI_CPP_EXCEPTIONS
#define NAPI_CPP_EXCEPTIONS
#endif
// If a worker is terminated inside one of our functions, no JS exception can be thrown there any more.
// Without this, the C++ exception would leave the callback instead, and end the process.
#ifndef NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS
#define NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS
#endif
#include <napi.h>
