// What was negotiated on a connection, kept from one session's close to the next one's connect.
//
// An MTA that reuses its connection for another SMTP client (QUIT_NC) does not negotiate again, and libmilter
// does not tell that close from a last one. Its SMFICTX cannot carry the terms over: private data left at the
// last close is reported as an error. A context that is freed leaves an entry of some bytes until its address
// is used again; callbacks.cc tells the old context from a new one at its address.
#pragma once

#include <libmilter/mfapi.h>

#include <mutex>
#include <optional>
#include <unordered_map>

#include "bridge/answer.h"

namespace milter {

class PartingTerms {
 public:
  void keep(const SMFICTX* context, const Agreement& agreement) {
    std::lock_guard<std::mutex> lock(mutex_);
    terms_[context] = agreement;
  }
  void forget(const SMFICTX* context) {
    std::lock_guard<std::mutex> lock(mutex_);
    terms_.erase(context);
  }
  std::optional<Agreement> take(const SMFICTX* context) {
    std::lock_guard<std::mutex> lock(mutex_);
    const auto found = terms_.find(context);
    if (found == terms_.end()) return std::nullopt;
    const Agreement agreement = found->second;
    terms_.erase(found);
    return agreement;
  }

 private:
  std::mutex mutex_;
  std::unordered_map<const SMFICTX*, Agreement> terms_;
};

}  // namespace milter
