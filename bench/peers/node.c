/*
 * The filter in C as an addon of Node: its handlers run on Node's thread, which a thread-safe function wakes
 * for them and which calls a JavaScript function that does nothing for each hand-over. With a class, its
 * methods are the handlers: see javascript.c.
 *
 *     run(SOCKET, VARIANT, WAIT, BURN, function[, class])
 */
#include <node_api.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "filter.h"
#include "javascript.h"

enum { WORDS = 4, LONGEST = 256 };

static napi_threadsafe_function wakeup;
static char words[WORDS][LONGEST];

static void wake(void) { napi_call_threadsafe_function(wakeup, NULL, napi_tsfn_nonblocking); }

static void on_wake(napi_env env, napi_value function, void* context, void* data) {
  (void)context, (void)data;
  if (env == NULL) return;
  int ran;
  do {
    napi_handle_scope scope;
    napi_value receiver;
    napi_open_handle_scope(env, &scope);
    napi_get_undefined(env, &receiver);
    napi_call_function(env, receiver, function, 0, NULL, NULL);
    ran = run_next_task();
    napi_close_handle_scope(env, scope);
  } while (ran);
}

static void* serve(void* unused) {
  (void)unused;
  char* arguments[] = {"filter", words[0], words[1], words[2], words[3], NULL};
  exit(run_filter(WORDS + 1, arguments));
}

static napi_value run(napi_env env, napi_callback_info info) {
  napi_value given[WORDS + 2], name;
  size_t count = WORDS + 2;
  pthread_t thread;
  napi_get_cb_info(env, info, &count, given, NULL, NULL);
  for (int i = 0; i < WORDS; i++) napi_get_value_string_utf8(env, given[i], words[i], LONGEST, NULL);
  napi_create_string_utf8(env, "bench", NAPI_AUTO_LENGTH, &name);
  if (napi_create_threadsafe_function(env, given[WORDS], NULL, name, 0, 1, NULL, NULL, NULL, on_wake,
                                      &wakeup) != napi_ok)
    abort();
  wake_handlers = wake;
  if (count > WORDS + 1) {
    use_javascript(env, given[WORDS + 1], strcmp(words[1], "one-thread-fresh") == 0);
    change_handlers = handle_in_javascript;
  }
  if (pthread_create(&thread, NULL, serve, NULL) != 0) abort();
  return NULL;
}

NAPI_MODULE_INIT() {
  napi_value function;
  napi_create_function(env, "run", NAPI_AUTO_LENGTH, run, NULL, &function);
  napi_set_named_property(env, exports, "run", function);
  return exports;
}
