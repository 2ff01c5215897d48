// What the bridge asks of libmilter for one session. Implemented in native/libmilter/, and by the bridge's
// tests.
#pragma once

#include <string>
#include <vector>

#include "bridge/answer.h"

namespace milter {

class Mta {
 public:
  virtual ~Mta() = default;

  // Memory only: may be called by a JS thread while the session's libmilter thread is parked (R1).
  virtual const char* getsymval(const std::string& name) = 0;
  virtual bool setreply(const std::string& code, const char* extended,
                        const std::vector<std::string>& lines) = 0;
  virtual bool setsymlist(int stage, const std::string& macros) = 0;

  // Writes to the MTA's socket and can block: only on libmilter's own thread (R2).
  virtual bool perform(const Action& action) = 0;
};

}  // namespace milter
