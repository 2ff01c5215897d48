// What the bridge asks of libmilter for one session. Implemented in native/libmilter/, and by a fake in the
// bridge's tests.
#pragma once

#include <string>
#include <vector>

#include "bridge/answer.h"

namespace milter {

class Mta {
 public:
  virtual ~Mta() = default;

  // These touch memory only: a JS thread may call them while the session's libmilter thread is parked (R1).
  virtual const char* getsymval(const std::string& name) = 0;
  virtual bool setreply(const SmtpReply& reply) = 0;
  virtual bool setsymlist(int stage, const std::string& macros) = 0;

  // Writes to the MTA's socket and can block, so it runs on libmilter's own thread (R2).
  virtual bool perform(const Action& action) = 0;
};

}  // namespace milter
