// Wakes a JS thread's loop, from any thread.
//
// A signal of libuv's. Node-API's thread-safe function sends the same under a lock of its own, which the
// woken thread wants first: on a busy core that is two thread switches more for each wake-up
// (docs/performance.md).
#pragma once

#include <uv.h>

#include "binding/napi_setup.h"

namespace milter {

class AsyncWakeup {
 public:
  // Called on the environment's thread as the event loop calls back: with a handle scope, and with promises
  // and process.nextTick() to follow. Rings that have not been heard yet are heard as one.
  using Callback = void (*)(void* data);

  // On the environment's thread. The bell keeps its loop alive until unref().
  // Null where the environment or its loop refuses: Napi::Error::New(env) knows why.
  static AsyncWakeup* create(napi_env env, Callback callback, void* data);

  // Any thread, until close() begins. Waits for nothing.
  void wake() { uv_async_send(&signal_); }

  // --- the environment's thread

  // Lets the loop end.
  void unref() { uv_unref(handle()); }
  // The end of the wakeup, and, when the loop has let go of it, of the environment's wait for `hook`.
  void close(napi_async_cleanup_hook_handle hook);

 private:
  AsyncWakeup(napi_env env, Callback callback, void* data) : env_(env), callback_(callback), data_(data) {}
  ~AsyncWakeup() = default;
  static void onAsync(uv_async_t* signal);
  uv_handle_t* handle() { return reinterpret_cast<uv_handle_t*>(&signal_); }

  const napi_env env_;
  const Callback callback_;
  void* const data_;
  uv_async_t signal_{};
  napi_async_context context_ = nullptr;
  napi_async_cleanup_hook_handle hook_ = nullptr;
};

}  // namespace milter
