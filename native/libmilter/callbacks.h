// The xxfi_ callbacks, which run on libmilter's threads and become events of a Session.
#pragma once

#include <libmilter/mfapi.h>

namespace milter {

// A description with all of libmilter's callbacks. Steps without a handler are left out in the negotiation.
smfiDesc describeFilter(char* name, unsigned long flags);

}  // namespace milter
