#include "libmilter/pool_starvation_watchdog.h"

#include <algorithm>
#include <chrono>
#include <thread>

namespace milter {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kMinPause{10};
constexpr milliseconds kMaxPause{320};
constexpr int kMaxAtOnce = 32;

}  // namespace

void PoolStarvationWatchdog::run() {
  for (;;) {
    inFlight_.awaitSlow();
    do {
      inFlight_.setWatchdogActive(true);
      watch();
      inFlight_.setWatchdogActive(false);
      // A callback that began to wait before that line relied on being watched.
    } while (inFlight_.running() > 0 && !retired_);
  }
}

// While callbacks wait: nudges when nothing has moved for a while. One connection finds one waiting session:
// where that moved something, the next time twice as many; where it did not, the next time later.
void PoolStarvationWatchdog::watch() {
  milliseconds pause = kMinPause;
  int count = 1;
  bool woke = false;
  while (inFlight_.running() > 0 && !retired_) {
    const auto before = inFlight_.activity();
    std::this_thread::sleep_for(pause);
    if (inFlight_.activity() != before) {
      count = woke ? std::min(count * 2, kMaxAtOnce) : 1;
      woke = false;
      pause = kMinPause;
      continue;
    }
    if (woke) {
      count = 1;
      pause = std::min(pause * 2, kMaxPause);
    }
    for (int i = 0; i < count; ++i) listener_.wakeListener();
    woke = true;
  }
}

}  // namespace milter
