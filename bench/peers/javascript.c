/*
 * Handlers in JavaScript for the filter in C as an addon of Node, with nothing between: one method of the
 * session's object for each event, with a string for each text that C gets, and numbers as answers. There are
 * no checks, no promises, no bodies or texts that a handler may keep; no package can do less.
 */
#include "javascript.h"

#include <stdlib.h>
#include <string.h>

#include "filter.h"

enum { MOST_ARGUMENTS = 16, LONGEST_NAME = 64 };
enum method { CONNECT, HELO, ENVFROM, ENVRCPT, DATA, HEADER, EOH, BODY, EOM, METHODS };
static const char* const names[METHODS] = {"connect", "hello", "envfrom", "envrcpt", "data",
                                           "header",  "eoh",   "body",    "eom"};

/* A session on the JavaScript side: its object, and the memory of its bodies. Both stay when it ends: a load
 * has few. */
struct object {
  napi_ref self;
  napi_ref memory;
};

static napi_env env;
static napi_ref class;
static napi_ref methods[METHODS];
static SMFICTX* current; /* of the handler that runs */
static bool fresh;

static napi_value referred(napi_ref reference) {
  napi_value value;
  napi_get_reference_value(env, reference, &value);
  return value;
}

static napi_ref refer(napi_value value) {
  napi_ref reference;
  if (napi_create_reference(env, value, 1, &reference) != napi_ok) abort();
  return reference;
}

static napi_value string_of(const char* text) {
  napi_value value;
  napi_create_string_latin1(env, text, NAPI_AUTO_LENGTH, &value);
  return value;
}

static napi_value number_of(size_t number) {
  napi_value value;
  napi_create_uint32(env, (uint32_t)number, &value);
  return value;
}

/* The session's object, made when its first handler runs. */
static struct object* object_of(SMFICTX* ctx) {
  struct session* session = session_of(ctx);
  if (session->object == NULL) {
    napi_value self;
    if (napi_new_instance(env, referred(class), 0, NULL, &self) != napi_ok) abort();
    session->object = calloc(1, sizeof *session->object);
    session->object->self = refer(self);
  }
  return session->object;
}

static sfsistat call(SMFICTX* ctx, enum method method, size_t count, const napi_value* arguments) {
  napi_value answer;
  int32_t verdict;
  current = ctx;
  if (napi_call_function(env, referred(object_of(ctx)->self), referred(methods[method]), count, arguments,
                         &answer) != napi_ok ||
      napi_get_value_int32(env, answer, &verdict) != napi_ok)
    abort();
  return verdict;
}

static sfsistat call_with_texts(SMFICTX* ctx, enum method method, char** texts) {
  napi_value arguments[MOST_ARGUMENTS];
  size_t count = 0;
  for (; count < MOST_ARGUMENTS && texts[count] != NULL; count++) arguments[count] = string_of(texts[count]);
  return call(ctx, method, count, arguments);
}

static sfsistat on_connect(SMFICTX* ctx, char* host, _SOCK_ADDR* address) {
  (void)address;
  char* texts[] = {host, NULL};
  return call_with_texts(ctx, CONNECT, texts);
}

static sfsistat on_helo(SMFICTX* ctx, char* name) {
  char* texts[] = {name, NULL};
  return call_with_texts(ctx, HELO, texts);
}

static sfsistat on_envfrom(SMFICTX* ctx, char** arguments) {
  return call_with_texts(ctx, ENVFROM, arguments);
}
static sfsistat on_envrcpt(SMFICTX* ctx, char** arguments) {
  return call_with_texts(ctx, ENVRCPT, arguments);
}
static sfsistat on_data(SMFICTX* ctx) { return call(ctx, DATA, 0, NULL); }
static sfsistat on_eoh(SMFICTX* ctx) { return call(ctx, EOH, 0, NULL); }

/* The load ends all of its messages, so this is where memory that JavaScript has seen is left to it. */
static sfsistat on_eom(SMFICTX* ctx) {
  struct object* object = object_of(ctx);
  if (fresh && object->memory != NULL) {
    napi_delete_reference(env, object->memory);
    object->memory = NULL;
    give_task_bytes(ctx);
  }
  return call(ctx, EOM, 0, NULL);
}

static sfsistat on_header(SMFICTX* ctx, char* name, char* value) {
  char* texts[] = {name, value, NULL};
  return call_with_texts(ctx, HEADER, texts);
}

static void free_memory(napi_env env_, void* bytes, void* hint) {
  (void)env_, (void)hint;
  free(bytes);
}

/* The chunk as a part of the session's memory, which JavaScript makes a Buffer of. */
static sfsistat on_body(SMFICTX* ctx, unsigned char* chunk, size_t length) {
  struct object* object = object_of(ctx);
  size_t size;
  char* bytes = task_bytes(ctx, &size);
  if (object->memory == NULL) {
    napi_value memory;
    if (napi_create_external_arraybuffer(env, bytes, size, fresh ? free_memory : NULL, NULL, &memory) !=
        napi_ok)
      abort();
    object->memory = refer(memory);
  }
  const napi_value arguments[] = {referred(object->memory), number_of((size_t)((char*)chunk - bytes)),
                                  number_of(length)};
  return call(ctx, BODY, 3, arguments);
}

static napi_value getsymval(napi_env env_, napi_callback_info info) {
  napi_value given;
  size_t count = 1;
  char name[LONGEST_NAME];
  napi_get_cb_info(env_, info, &count, &given, NULL, NULL);
  napi_get_value_string_latin1(env_, given, name, sizeof name, NULL);
  const char* value = smfi_getsymval(current, name);
  return value == NULL ? NULL : string_of(value);
}

static napi_value addheader(napi_env env_, napi_callback_info info) {
  napi_value given[2];
  size_t count = 2;
  char text[2][LONGEST_NAME];
  napi_get_cb_info(env_, info, &count, given, NULL, NULL);
  for (int i = 0; i < 2; i++) napi_get_value_string_latin1(env_, given[i], text[i], sizeof text[i], NULL);
  smfi_addheader(current, text[0], text[1]);
  return NULL;
}

static void set_function(napi_value prototype, const char* name, napi_callback body) {
  napi_value function;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, body, NULL, &function);
  napi_set_named_property(env, prototype, name, function);
}

void use_javascript(napi_env its_env, napi_value its_class, bool is_fresh) {
  env = its_env;
  fresh = is_fresh;
  class = refer(its_class);
  napi_value prototype;
  napi_get_named_property(env, its_class, "prototype", &prototype);
  for (int i = 0; i < METHODS; i++) {
    napi_value method;
    napi_get_named_property(env, prototype, names[i], &method);
    methods[i] = refer(method);
  }
  set_function(prototype, "getsymval", getsymval);
  set_function(prototype, "addheader", addheader);
}

void handle_in_javascript(struct smfiDesc* filter) {
  filter->xxfi_connect = on_connect;
  filter->xxfi_helo = on_helo;
  filter->xxfi_envfrom = on_envfrom;
  filter->xxfi_envrcpt = on_envrcpt;
  filter->xxfi_data = on_data;
  filter->xxfi_header = on_header;
  filter->xxfi_eoh = on_eoh;
  filter->xxfi_body = on_body;
  filter->xxfi_eom = on_eom;
}
