// The smfi_ functions of one session, behind the bridge's Mta.
#pragma once

#include <libmilter/mfapi.h>

#include "bridge/mta.h"

namespace milter {

class LibmilterCalls final : public Mta {
 public:
  explicit LibmilterCalls(SMFICTX* context) : context_(context) {}

  const char* getsymval(const std::string& name) override;
  bool setreply(const std::string& code, const char* extended,
                const std::vector<std::string>& lines) override;
  bool setsymlist(int stage, const std::string& macros) override;
  bool perform(const Action& action) override;

 private:
  bool replacebody(const std::string& body);

  SMFICTX* const context_;
};

}  // namespace milter
