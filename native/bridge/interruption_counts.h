// How many questions of the MTA were answered without their handlers, by reason. JS need not hear of each of
// them, so they are counted where they are answered.
#pragma once

#include <atomic>
#include <cstdint>

#include "bridge/protocol.h"

namespace milter {

class InterruptionCounts {
 public:
  void add(Interruption reason) noexcept {
    counts_[static_cast<unsigned>(reason)].fetch_add(1, std::memory_order_relaxed);
  }
  uint64_t of(Interruption reason) const noexcept {
    return counts_[static_cast<unsigned>(reason)].load(std::memory_order_relaxed);
  }

 private:
  std::atomic<uint64_t> counts_[kInterruptionCount] = {};
};

}  // namespace milter
