// Where one session's libmilter thread, which asks, meets its JS thread, which answers.
//
// R1: while a question is open, the asking thread is parked in await(), and the JS thread may use the
// session's Mta. R2: what writes to the MTA's socket is queued here and performed by the parked thread. R5:
// await() returns when the question is answered, at its deadline, or when it is released. R6: the first
// answer counts.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <utility>
#include <vector>

#include "bridge/answer.h"
#include "bridge/in_flight.h"
#include "bridge/mta.h"

namespace milter {

class PendingReply {
 public:
  using Clock = std::chrono::steady_clock;
  // The number of no question: all have been released.
  static constexpr uint32_t kReleased = 0;
  enum class Outcome : uint8_t {
    answered,
    writeFailed,  // answered, but a modification could not be written to the MTA
    expired,      // the deadline passed
    released,     // the filter stops, or the JS thread that should have answered has ended
  };
  struct Result {
    Outcome outcome;
    Answer answer;  // if answered
  };

  // --- the session's libmilter thread

  // Opens the next question and returns its number, to be followed by await(); kReleased after release().
  uint32_t open(std::chrono::milliseconds timeout);
  // Parks until the open question is answered, and performs what is queued meanwhile. Tells `inFlight` if
  // that takes long.
  Result await(Mta& mta, InFlight& inFlight);
  // release(), for a thread that will not come to await().
  void abandon();

  // --- the session's JS thread. All return false unless `question` is the open one.

  bool answer(uint32_t question, const Answer& answer);
  // Queues a modification. progress is performed at once.
  bool queue(uint32_t question, Action&& action);
  // A handler has begun to wait: the time-out starts anew.
  bool resetDeadline(uint32_t question);
  // Runs `use(mta)` while the asking thread is held in await().
  template <class Use>
  bool withMta(uint32_t question, Mta& mta, Use&& use) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!isOpenLocked(question)) return false;
    std::forward<Use>(use)(mta);
    return true;
  }

  // --- any thread

  // Ends the open question and refuses every later one.
  void release();

 private:
  bool isOpenLocked(uint32_t question) const { return waiting_ && !answered_ && question == question_; }
  Result endLocked(Outcome outcome);
  bool performLocked(std::unique_lock<std::mutex>& lock, Mta& mta, const std::vector<Action>& actions);

  std::mutex mutex_;
  std::condition_variable changed_;
  // All below are guarded by mutex_.
  uint32_t question_ = 0;
  bool waiting_ = false;
  bool answered_ = false;
  bool released_ = false;
  std::chrono::milliseconds timeout_{0};
  Clock::time_point deadline_;
  Answer answer_;
  std::vector<Action> queued_;  // performed when the answer has come
  std::vector<Action> urgent_;  // performed at once
};

}  // namespace milter
