/* The filter's handlers in JavaScript: see javascript.c. */
#pragma once
#include <node_api.h>
#include <stdbool.h>

struct smfiDesc;

/*
 * Makes the methods of this class the handlers, one object for a session. On Node's thread. `fresh`: each
 * message with a body has memory of its own, which the garbage collector frees.
 */
void use_javascript(napi_env env, napi_value class, bool fresh);

/* Puts them in place of the filter's own. */
void handle_in_javascript(struct smfiDesc* filter);
