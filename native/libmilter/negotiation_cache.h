// What was negotiated on each connection, for the sessions on it that begin without a negotiation.
//
// An MTA that reuses its connection for another SMTP client (QUIT_NC) does not negotiate again, and libmilter
// does not tell the close in between from the last one. Its SMFICTX cannot carry the options over: libmilter
// reports private data that is left at the last close as an error. A context that is freed leaves an entry
// of some bytes until its address is used again; callbacks.cc tells the two contexts apart.
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
    const std::lock_guard<std::mutex> lock(mutex_);
    entries_[context] = options;
  }
  void forget(const SMFICTX* context) {
    const std::lock_guard<std::mutex> lock(mutex_);
    entries_.erase(context);
  }
  std::optional<NegotiatedOptions> find(const SMFICTX* context) const {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = entries_.find(context);
    if (found == entries_.end()) return std::nullopt;
    return found->second;
  }

 private:
  mutable std::mutex mutex_;
  std::unordered_map<const SMFICTX*, NegotiatedOptions> entries_;
};

}  // namespace milter
