#include "libmilter/nudger.h"

#include <algorithm>
#include <chrono>
#include <thread>

namespace milter {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kShortest{10};
constexpr milliseconds kLongest{320};
constexpr int kMostAtOnce = 32;

}  // namespace

void Nudger::run() {
  for (;;) {
    traffic_.awaitSlow();
    do {
      traffic_.setWatched(true);
      watch();
      traffic_.setWatched(false);
      // A callback that began to wait before that line relied on being watched.
    } while (traffic_.running() > 0 && !retired_);
  }
}

// While callbacks wait: nudges when nothing has moved for a while. One connection finds one waiting session:
// where that moved something, the next time twice as many; where it did not, the next time later.
void Nudger::watch() {
  milliseconds pause = kShortest;
  int count = 1;
  bool nudged = false;
  while (traffic_.running() > 0 && !retired_) {
    const auto before = traffic_.moves();
    std::this_thread::sleep_for(pause);
    if (traffic_.moves() != before) {
      count = nudged ? std::min(count * 2, kMostAtOnce) : 1;
      nudged = false;
      pause = kShortest;
      continue;
    }
    if (nudged) {
      count = 1;
      pause = std::min(pause * 2, kLongest);
    }
    for (int i = 0; i < count; ++i) listener_.kick();
    nudged = true;
  }
}

}  // namespace milter
