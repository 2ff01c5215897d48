#include "libmilter/tcp_quick_ack.h"

#if defined(__linux__)

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "libmilter/spawn_detached.h"

namespace milter {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr microseconds kPause{500};
// With many connections the pauses grow, so that this takes no more than a fifth of a core.
constexpr int kShare = 4;
// As long as the kernel would hold an acknowledgement back, and some more.
constexpr milliseconds kTimeout{60};

bool set(int fd, int option) {
  const int yes = 1;
  return setsockopt(fd, IPPROTO_TCP, option, &yes, sizeof yes) == 0;
}

}  // namespace

void TcpQuickAck::start() {
  if (listener_.port() == 0) return;
  (void)spawnDetached(
      [this] { run(); });  // where there is no thread to be had, it goes on without, and slower
}

void TcpQuickAck::onSession() {
  newConnections_ = true;
  onCallback();
}

void TcpQuickAck::wake() {
  std::lock_guard<std::mutex> lock(mutex_);
  asleep_ = false;
  changed_.notify_one();
}

void TcpQuickAck::sleep() {
  std::unique_lock<std::mutex> lock(mutex_);
  asleep_ = true;
  changed_.wait(lock, [this] { return !asleep_; });
}

// A callback that comes while this falls asleep, and so wakes nobody, may cost one delay; the next one wakes.
void TcpQuickAck::run() {
  for (;;) {
    sleep();
    auto activity = inFlight_.activity();
    for (auto last = Clock::now(); Clock::now() - last < kTimeout;) {
      const auto begun = Clock::now();
      acknowledge();
      if (const auto now = inFlight_.activity(); now != activity) {
        activity = now;
        last = begun;
      }
      std::this_thread::sleep_for(std::max<Clock::duration>(kPause, kShare * (Clock::now() - begun)));
    }
  }
}

void TcpQuickAck::acknowledge() {
  if (newConnections_.exchange(false)) {
    connections_.clear();
    listener_.eachConnection([this](int fd) {
      set(fd, TCP_NODELAY);
      connections_.push_back(fd);
    });
  }
  const auto gone = [](int fd) { return !set(fd, TCP_QUICKACK); };
  connections_.erase(std::remove_if(connections_.begin(), connections_.end(), gone), connections_.end());
}

}  // namespace milter

#else

namespace milter {

void TcpQuickAck::start() {}
void TcpQuickAck::onSession() {}
void TcpQuickAck::wake() {}

}  // namespace milter

#endif
