/* The filter's handlers in JavaScript: see javascript.c. */
#pragma once
#include <node_api.h>

struct smfiDesc;

/* Makes the methods of this class the handlers, one object for a session. On Node's thread. */
void use_javascript(napi_env env, napi_value class);

/* Puts them in place of the filter's own. */
void handle_in_javascript(struct smfiDesc* filter);
