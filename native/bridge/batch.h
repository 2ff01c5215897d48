// Events on their way to a JS thread, copied out of libmilter's buffers before the callback ends (R8).
//
// A batch belongs to its session, which lends it to the JS thread with a question. The JS thread gives it
// back before it runs the handlers, so that the session can fill it again after the answer.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "bridge/block.h"
#include "bridge/protocol.h"

namespace milter {

// The position of one argument in the batch's bytes.
struct Slice {
  uint32_t offset;
  uint32_t length;
};

// One call of one handler. Its text and body arguments are the slices [first, first + count).
struct Event {
  Step step;
  bool withMacros;  // the first argument is the text of Batch::addMacros()
  uint32_t first;
  uint32_t count;
  // negotiate: actions, protocol and two words reserved by the protocol. connect: family, port, flow
  // information and scope. Unused by other steps.
  uint32_t numbers[4];
};

// Consecutive events of one session, with one block of memory for all their arguments.
class Batch {
 public:
  Batch() = default;
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;

  // Forgets its events, to be filled again in the same memory. Handlers have Buffers of the chunks in it, so
  // it is left to those that may keep a chunk.
  void clear(bool handlersKeepNothing) {
    if (hasChunks_ && !handlersKeepNothing) block_.reset();
    events_.clear();
    slices_.clear();
    size_ = 0;
    hasChunks_ = false;
  }

  bool empty() const { return events_.empty(); }  // without events
  // Those of all arguments together.
  size_t bytes() const { return size_; }
  // The memory that the batch takes.
  size_t memory() const {
    return capacity() + events_.capacity() * sizeof(Event) + slices_.capacity() * sizeof(Slice);
  }
  const std::vector<Event>& events() const { return events_; }
  std::string_view argument(const Event& event, uint32_t index) const {
    const Slice& slice = slices_[event.first + index];
    return {block_->data() + slice.offset, slice.length};
  }
  // Where the arguments are, at its beginning; null if there are none.
  const std::shared_ptr<Block>& block() const { return block_; }
  // When the first event was added.
  std::chrono::steady_clock::time_point startedAt() const { return startedAt_; }

  // `last`: no other event will follow, so that no memory is reserved for one.
  Event& addEvent(Step step, bool last = false) {
    last_ = last;
    if (events_.empty()) begin();
    if (step == Step::body) hasChunks_ = true;
    events_.push_back({step, false, static_cast<uint32_t>(slices_.size()), 0, {0, 0, 0, 0}});
    return events_.back();
  }
  // Adds an argument to the last event.
  void addArgument(std::string_view text) {
    slices_.push_back({static_cast<uint32_t>(size_), static_cast<uint32_t>(text.size())});
    append(text);
    ++events_.back().count;
  }

  // Adds the macros of the last event, before its arguments: name, NUL, value, NUL, name, ...
  void addMacros(std::string_view text) {
    addArgument(text);
    events_.back().withMacros = true;
  }
  // Adds to the macros of the last event, which has no other argument yet.
  void extendMacros(std::string_view text) {
    append(text);
    slices_.back().length += static_cast<uint32_t>(text.size());
  }

 private:
  // A usual message until its body. Less would be allocated, copied and freed several times.
  static constexpr size_t kUsualEvents = 32;
  static constexpr size_t kUsualBytes = 2048;
  static constexpr size_t kLongArgument = size_t{32} * 1024;
  static constexpr size_t kWholeBatch = size_t{320} * 1024;

  void begin() {
    startedAt_ = std::chrono::steady_clock::now();
    if (last_) return;
    events_.reserve(kUsualEvents);
    slices_.reserve(2 * kUsualEvents);
  }
  void append(std::string_view text) {
    if (!block_ || capacity() - size_ < text.size()) grow(text.size());
    if (!text.empty()) std::memcpy(block_->data() + size_, text.data(), text.size());
    size_ += text.size();
  }
  size_t capacity() const { return block_ ? block_->capacity() : 0; }
  // Makes room for that many more bytes. The old block stays as it is: JS may have a view of it.
  void grow(size_t more) {
    size_t wanted = size_ + more;
    if (!last_) {
      wanted = std::max({wanted, capacity() * 2, kUsualBytes});
      // A long body comes in chunks of 64 KiB: reserve a whole batch at once rather than copy it as it grows.
      if (more >= kLongArgument) wanted = std::max(wanted, kWholeBatch);
    }
    auto larger = std::make_shared<Block>(wanted);
    if (size_ > 0) std::memcpy(larger->data(), block_->data(), size_);
    block_ = std::move(larger);
  }

  std::vector<Event> events_;
  std::vector<Slice> slices_;
  std::shared_ptr<Block> block_;
  size_t size_ = 0;
  bool last_ = false;
  bool hasChunks_ = false;  // of a body
  std::chrono::steady_clock::time_point startedAt_;
};

}  // namespace milter
