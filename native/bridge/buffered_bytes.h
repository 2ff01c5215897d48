// How much memory the batches of all sessions take together, so that many sessions whose handlers are slow
// cannot fill the memory.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace milter {

class BufferedBytes {
 public:
  // One session's part, from the first event of a batch until its handlers have answered.
  class Share {
   public:
    explicit Share(BufferedBytes& total) : total_(total) {}
    ~Share() { hold(0); }
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;
    // The session's batch takes `bytes` now.
    void hold(size_t bytes) {
      if (bytes == held_) return;
      total_.bytes_.fetch_add(static_cast<int64_t>(bytes) - static_cast<int64_t>(held_),
                              std::memory_order_relaxed);
      held_ = bytes;
    }

   private:
    BufferedBytes& total_;
    size_t held_ = 0;
  };

  int64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }
  // Whether no session should collect events any more. A limit of 0 means that none ever does.
  bool full() const { return bytes() >= limit_.load(std::memory_order_relaxed); }
  void setLimit(int64_t bytes) { limit_.store(bytes); }

 private:
  std::atomic<int64_t> bytes_{0};
  std::atomic<int64_t> limit_{INT64_MAX};
};

}  // namespace milter
