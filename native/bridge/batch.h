// Events on their way to a JS thread: copied out of libmilter's buffers before the callback ends (R8).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "bridge/step.h"

namespace milter {

// Where one argument of an event lies in the batch's bytes.
struct Piece {
  uint32_t offset;
  uint32_t length;
};

// One call of one handler. Its text and body arguments are the pieces [first, first + count).
struct Event {
  Step step;
  uint32_t first;
  uint32_t count;
  // negotiate: actions, protocol and the two words kept for the future. connect: family, port, flow
  // information, scope. Nothing for the others.
  uint32_t numbers[4];
};

// A run of events of one session, in order, with one block of memory for all their arguments.
class Batch {
 public:
  bool empty() const { return events_.empty(); }
  size_t size() const { return bytes_.size(); }
  const std::vector<Event>& events() const { return events_; }
  std::string_view text(const Event& event, uint32_t index) const {
    const Piece& piece = pieces_[event.first + index];
    return {bytes_.data() + piece.offset, piece.length};
  }
  std::chrono::steady_clock::time_point startedAt() const { return startedAt_; }

  Event& begin(Step step) {
    if (events_.empty()) startedAt_ = std::chrono::steady_clock::now();
    events_.push_back({step, static_cast<uint32_t>(pieces_.size()), 0, {0, 0, 0, 0}});
    return events_.back();
  }
  void add(std::string_view text) {
    // A long body comes in chunks of 64 KiB: make room for a whole batch at once rather than copy it as it
    // grows.
    if (text.size() >= kLongPiece && bytes_.capacity() - bytes_.size() < text.size()) bytes_.reserve(kRoom);
    pieces_.push_back({static_cast<uint32_t>(bytes_.size()), static_cast<uint32_t>(text.size())});
    bytes_.append(text);
    ++events_.back().count;
  }

 private:
  static constexpr size_t kLongPiece = 32 * 1024;
  static constexpr size_t kRoom = 320 * 1024;

  std::vector<Event> events_;
  std::vector<Piece> pieces_;
  std::string bytes_;
  std::chrono::steady_clock::time_point startedAt_;
};

}  // namespace milter
