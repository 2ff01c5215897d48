#include "libmilter/pool_starvation_watchdog.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "libmilter/spawn_detached.h"

namespace milter {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kMinPause{10};
constexpr milliseconds kMaxPause{320};
constexpr int kMaxConnections = 32;

}  // namespace

void PoolStarvationWatchdog::run() {
  for (;;) {
    inFlight_.awaitSlow();
    do {
      inFlight_.setWatchdogActive(true);
      watch();
      inFlight_.setWatchdogActive(false);
      // A callback that began to wait before that line did not call noteSlow(), so look once more.
    } while (inFlight_.callbacks() > 0 && !retired_);
  }
}

// While callbacks wait, connects whenever nothing has moved for a while. One connection helps one waiting
// session. If it helped, twice as many follow the next time; if not, the next one comes later.
void PoolStarvationWatchdog::watch() {
  milliseconds pause = kMinPause;
  int count = 1;
  bool connected = false;
  while (inFlight_.callbacks() > 0 && !retired_) {
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
    // Without a thread for it, libmilter would keep the connection for ever.
    connected = canCreateThreads(1);
    for (int i = 0; connected && i < count; ++i) listener_.wakeListener();
  }
}

}  // namespace milter
