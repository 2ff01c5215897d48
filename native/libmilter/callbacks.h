// The xxfi_ callbacks, which run on libmilter's threads and turn into events of a Session.
#pragma once

#include <libmilter/mfapi.h>

namespace milter {

// A description with all of libmilter's callbacks; those without a handler are negotiated away.
smfiDesc describeFilter(char* name, unsigned long flags);

}  // namespace milter
