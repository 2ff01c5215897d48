// Wakes a JS thread's loop, from any thread.
//
// A signal of libuv's. Node-API's thread-safe function sends the same under a lock of its own, which the
// woken thread wants first: on a busy core that is two thread switches more for each wake-up
// (docs/performance.md).
#pragma once

#include <uv.h>

#include "binding/napi_setup.h"

namespace milter {

class Bell {
 public:
  // Called on the environment's thread as the event loop calls back: with a handle scope, and with promises
  // and process.nextTick() to follow. Rings that have not been heard yet are heard as one.
  using OnRing = void (*)(void* data);

  // On the environment's thread. The bell keeps its loop alive until mute().
  // Null where the environment or its loop refuses: Napi::Error::New(env) knows why.
  static Bell* hang(napi_env env, OnRing onRing, void* data);

  // Any thread, until takeDown() begins. Waits for nothing.
  void ring() { uv_async_send(&signal_); }

  // --- the environment's thread

  // Lets the loop end.
  void mute() { uv_unref(handle()); }
  // The end of the bell, and, when the loop has let go of it, of the environment's wait for `hook`.
  void takeDown(napi_async_cleanup_hook_handle hook);

 private:
  Bell(napi_env env, OnRing onRing, void* data) : env_(env), onRing_(onRing), data_(data) {}
  ~Bell() = default;
  static void heard(uv_async_t* signal);
  uv_handle_t* handle() { return reinterpret_cast<uv_handle_t*>(&signal_); }

  const napi_env env_;
  const OnRing onRing_;
  void* const data_;
  uv_async_t signal_{};
  napi_async_context context_ = nullptr;
  napi_async_cleanup_hook_handle hook_ = nullptr;
};

}  // namespace milter
