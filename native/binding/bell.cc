#include "binding/bell.h"

namespace milter {

Bell* Bell::hang(napi_env env, OnRing onRing, void* data) {
  uv_loop_t* loop;
  napi_value name;
  napi_async_context context;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok ||
      napi_create_string_utf8(env, "milter", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_async_init(env, nullptr, name, &context) != napi_ok) {
    return nullptr;
  }
  auto* const bell = new Bell(env, onRing, data);
  bell->context_ = context;
  bell->signal_.data = bell;
  const int failure = uv_async_init(loop, &bell->signal_, heard);
  if (failure == 0) return bell;
  delete bell;
  napi_async_destroy(env, context);
  napi_throw_error(env, uv_err_name(failure), uv_strerror(failure));
  return nullptr;
}

void Bell::heard(uv_async_t* signal) {
  const Bell& bell = *static_cast<Bell*>(signal->data);
  const napi_env env = bell.env_;
  napi_handle_scope handles;
  if (napi_open_handle_scope(env, &handles) != napi_ok) return;
  napi_value resource;
  napi_callback_scope callback;
  // Refused where the environment is ending and no JS can run any more.
  if (napi_create_object(env, &resource) == napi_ok &&
      napi_open_callback_scope(env, resource, bell.context_, &callback) == napi_ok) {
    bell.onRing_(bell.data_);
    napi_close_callback_scope(env, callback);
  }
  napi_close_handle_scope(env, handles);
}

void Bell::takeDown(napi_async_cleanup_hook_handle hook) {
  hook_ = hook;
  napi_async_destroy(env_, context_);
  uv_close(handle(), [](uv_handle_t* closed) {
    const Bell* const bell = static_cast<Bell*>(closed->data);
    napi_remove_async_cleanup_hook(bell->hook_);
    delete bell;
  });
}

}  // namespace milter
