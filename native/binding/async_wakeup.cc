#include "binding/async_wakeup.h"

namespace milter {

AsyncWakeup* AsyncWakeup::create(napi_env env, Callback callback, void* data) {
  uv_loop_t* loop;
  napi_value name;
  napi_async_context context;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok ||
      napi_create_string_utf8(env, "milter", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_async_init(env, nullptr, name, &context) != napi_ok) {
    return nullptr;
  }
  auto* const wakeup = new AsyncWakeup(env, callback, data);
  wakeup->context_ = context;
  wakeup->signal_.data = wakeup;
  const int failure = uv_async_init(loop, &wakeup->signal_, onAsync);
  if (failure == 0) return wakeup;
  delete wakeup;
  napi_async_destroy(env, context);
  napi_throw_error(env, uv_err_name(failure), uv_strerror(failure));
  return nullptr;
}

void AsyncWakeup::onAsync(uv_async_t* signal) {
  const AsyncWakeup& wakeup = *static_cast<AsyncWakeup*>(signal->data);
  const napi_env env = wakeup.env_;
  napi_handle_scope handles;
  if (napi_open_handle_scope(env, &handles) != napi_ok) return;
  napi_value resource;
  napi_callback_scope callback;
  // Refused where the environment is ending and no JS can run any more.
  if (napi_create_object(env, &resource) == napi_ok &&
      napi_open_callback_scope(env, resource, wakeup.context_, &callback) == napi_ok) {
    wakeup.callback_(wakeup.data_);
    napi_close_callback_scope(env, callback);
  }
  napi_close_handle_scope(env, handles);
}

void AsyncWakeup::close(napi_async_cleanup_hook_handle hook) {
  hook_ = hook;
  napi_async_destroy(env_, context_);
  uv_close(handle(), [](uv_handle_t* closed) {
    const AsyncWakeup* const wakeup = static_cast<AsyncWakeup*>(closed->data);
    napi_remove_async_cleanup_hook(wakeup->hook_);
    delete wakeup;
  });
}

}  // namespace milter
