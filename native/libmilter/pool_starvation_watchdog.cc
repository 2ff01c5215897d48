#include "libmilter/pool_starvation_watchdog.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

namespace milter {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kMinPause{10};
constexpr milliseconds kMaxPause{320};
constexpr int kMaxConnections = 32;
// After which a connection that libmilter has not come to counts as forgotten.
constexpr std::chrono::seconds kForgotten{2};
// How often to look for sessions that wait while no callback is slow.
constexpr milliseconds kLook{250};

}  // namespace

void PoolStarvationWatchdog::run() {
  auto activity = inFlight_.activity();
  while (!retired_) {
    const bool slow = inFlight_.awaitSlow(kLook);
    const auto before = std::exchange(activity, inFlight_.activity());
    // While callbacks come and go, threads become free, and take what waits. So the descriptors are searched
    // only in a filter that rests.
    if (!slow && !(activity == before && sessionsMayWait())) continue;
    do {
      inFlight_.setWatchdogActive(true);
      watch();
      inFlight_.setWatchdogActive(false);
      // A callback that began to wait before that line did not call noteSlow(), so look once more.
    } while (inFlight_.callbacks() > 0 && !retired_);
  }
}

bool PoolStarvationWatchdog::sessionsMayWait() const {
  return inFlight_.callbacks() > 0 || listener_.hasUnreadConnection();
}

// While sessions may wait, connects whenever nothing has moved for a while. One connection helps one waiting
// session. If it helped, twice as many follow the next time; if not, the next one comes later.
void PoolStarvationWatchdog::watch() {
  milliseconds pause = kMinPause;
  int count = 1;
  bool connected = false;
  auto last = InFlight::Clock::now() - kForgotten;
  while (!retired_ && sessionsMayWait()) {
    const auto before = inFlight_.activity();
    std::this_thread::sleep_for(pause);
    if (inFlight_.activity() != before) {
      count = connected ? std::min(count * 2, kMaxConnections) : 1;
      connected = false;
      pause = kMinPause;
      continue;
    }
    if (connected) {
      count = 1;
      pause = std::min(pause * 2, kMaxPause);
    }
    // More of them, on a machine that is too busy to come to the last ones, would only take up threads.
    if (listener_.wakeupsUnderWay() > 0 && InFlight::Clock::now() - last < kForgotten) continue;
    listener_.forgetWakeups();
    // libmilter never closes a connection for which it could not create a thread.
    connected = threadRoom_.has(count + 1, inFlight_.callbacks());
    if (!connected) count = 1;
    for (int i = 0; connected && i < count; ++i) listener_.wakeListener();
    last = InFlight::Clock::now();
  }
}

}  // namespace milter
