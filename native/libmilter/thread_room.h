// Whether the system would create more threads for libmilter.
//
// Only creating threads tells, and while they are there, libmilter may find no room for a session's thread.
// So there are few checks: what a check has proven holds for a while, and so does that one has failed, until
// callbacks have ended, whose threads are free then.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>

namespace milter {

class ThreadRoom {
 public:
  // Whether there are threads and address space for `count` more threads. A check takes some tens of
  // microseconds for each. One is made at a time: another one would find the room taken by the threads of
  // this one. Any thread.
  //
  // @param callbacks that run now, each of which holds a thread
  bool has(int count, int64_t callbacks) noexcept;

 private:
  using Clock = std::chrono::steady_clock;

  struct Failure {
    Clock::time_point at;
    int count;
    int64_t callbacks;
  };

  std::mutex mutex_;
  // All below are guarded by mutex_.
  std::optional<Failure> failure_;  // of the last check
  int64_t proven_ = 0;              // threads that there have been at the same time, for callbacks and checks
  Clock::time_point provenAt_;
};

}  // namespace milter
