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

class NegotiationCache {
 public:
  void keep(const SMFICTX* context, const NegotiatedOptions& options) {
    std::lock_guard<std::mutex> lock(mutex_);
    entries_[context] = options;
  }
  void forget(const SMFICTX* context) {
    std::lock_guard<std::mutex> lock(mutex_);
    entries_.erase(context);
  }
  std::optional<NegotiatedOptions> take(const SMFICTX* context) {
    std::lock_guard<std::mutex> lock(mutex_);
    const auto found = entries_.find(context);
    if (found == entries_.end()) return std::nullopt;
    const NegotiatedOptions options = found->second;
    entries_.erase(found);
    return options;
  }

 private:
  std::mutex mutex_;
  std::unordered_map<const SMFICTX*, NegotiatedOptions> entries_;
};

}  // namespace milter
