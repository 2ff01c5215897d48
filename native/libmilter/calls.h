// Mta by way of libmilter's smfi_ functions.
#pragma once

#include <libmilter/mfapi.h>

#include <string>

#include "bridge/mta.h"

namespace milter {

class LibmilterCalls final : public Mta {
 public:
  explicit LibmilterCalls(SMFICTX* context) : context_(context) {}

  const char* getsymval(const std::string& name) override;
  bool setreply(const SmtpReply& reply) override;
  bool setsymlist(int stage, const std::string& macros) override;
  bool perform(const Action& action) override;

 private:
  bool replacebody(const std::string& body);

  SMFICTX* const context_;
};

}  // namespace milter
