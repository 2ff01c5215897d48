// Events on their way to a JS thread, copied out of libmilter's buffers before the callback ends (R8).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

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
  bool empty() const { return events_.empty(); }
  size_t size() const { return bytes_.size(); }
  // The memory that the batch takes.
  size_t memory() const {
    return bytes_.capacity() + events_.capacity() * sizeof(Event) + slices_.capacity() * sizeof(Slice);
  }
  const std::vector<Event>& events() const { return events_; }
  std::string_view argument(const Event& event, uint32_t index) const {
    const Slice& slice = slices_[event.first + index];
    return {bytes_.data() + slice.offset, slice.length};
  }
  // When the first event was added.
  std::chrono::steady_clock::time_point startedAt() const { return startedAt_; }

  // `last`: no other event will follow, so that no memory is reserved for one.
  Event& addEvent(Step step, bool last = false) {
    last_ = last;
    if (events_.empty()) startedAt_ = std::chrono::steady_clock::now();
    events_.push_back({step, false, static_cast<uint32_t>(slices_.size()), 0, {0, 0, 0, 0}});
    return events_.back();
  }
  // Adds an argument to the last event.
  void addArgument(std::string_view text) {
    // A long body comes in chunks of 64 KiB: reserve a whole batch at once rather than copy it as it grows.
    if (!last_ && text.size() >= kLongArgument && bytes_.capacity() - bytes_.size() < text.size()) {
      bytes_.reserve(kWholeBatch);
    }
    slices_.push_back({static_cast<uint32_t>(bytes_.size()), static_cast<uint32_t>(text.size())});
    bytes_.append(text);
    ++events_.back().count;
  }

  // Adds the macros of the last event, before its arguments: name, NUL, value, NUL, name, ...
  void addMacros(std::string_view text) {
    addArgument(text);
    events_.back().withMacros = true;
  }

 private:
  static constexpr size_t kLongArgument = size_t{32} * 1024;
  static constexpr size_t kWholeBatch = size_t{320} * 1024;

  std::vector<Event> events_;
  std::vector<Slice> slices_;
  std::string bytes_;
  bool last_ = false;
  std::chrono::steady_clock::time_point startedAt_;
};

}  // namespace milter
