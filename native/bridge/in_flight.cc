#include "bridge/in_flight.h"

#include <thread>
#include <utility>

namespace milter {

bool InFlight::awaitIdle(const Deadline& deadline, bool transactionsToo) const {
  // A stop is rare. Polling costs the callbacks nothing, a condition variable would.
  constexpr std::chrono::milliseconds kPollInterval{5};
  for (;;) {
    // Read in this order, because a callback notes its answer before it ends.
    const bool idle = callbacks() == 0 && (!transactionsToo || transactions_.load() == 0);
    const Clock::time_point answered{Clock::duration(lastAnswer_.load())};
    const auto now = Clock::now();
    if (idle && now - answered >= kReplyTime) return true;
    if (now.time_since_epoch().count() >= deadline.load()) return false;
    std::this_thread::sleep_for(kPollInterval);
  }
}

void InFlight::bringForward(Deadline& deadline, Clock::time_point to) {
  const Clock::rep wanted = to.time_since_epoch().count();
  Clock::rep known = deadline.load();
  while (wanted < known && !deadline.compare_exchange_weak(known, wanted)) continue;
}

void InFlight::noteSlow() {
  std::lock_guard<std::mutex> lock(slowMutex_);
  slow_ = true;
  slowChanged_.notify_one();
}

bool InFlight::awaitSlow(std::chrono::milliseconds most) {
  std::unique_lock<std::mutex> lock(slowMutex_);
  slowChanged_.wait_for(lock, most, [this] { return slow_; });
  return std::exchange(slow_, false);
}

}  // namespace milter
