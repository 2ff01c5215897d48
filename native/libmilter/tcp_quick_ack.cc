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

constexpr microseconds kShortestPause{500};
// With many connections the pauses grow, so that this takes at most a fifth of a core.
constexpr int kPausePerWork = 4;
// How long to go on after the last callback: longer than the kernel delays an acknowledgement.
constexpr milliseconds kLinger{60};

bool set(int fd, int option) {
  const int yes = 1;
  return setsockopt(fd, IPPROTO_TCP, option, &yes, sizeof yes) == 0;
}

}  // namespace

void TcpQuickAck::start() {
  if (listener_.port() == 0) return;
  // Without a thread the filter works too, only slower.
  (void)spawnDetached([this] { run(); });
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

// A callback that begins while this thread falls asleep does not wake it, which may cost one delay. The next
// one does.
void TcpQuickAck::run() {
  for (;;) {
    sleep();
    auto activity = inFlight_.activity();
    for (auto last = Clock::now(); Clock::now() - last < kLinger;) {
      const auto begin = Clock::now();
      acknowledge();
      if (const auto now = inFlight_.activity(); now != activity) {
        activity = now;
        last = begin;
      }
      std::this_thread::sleep_for(
          std::max<Clock::duration>(kShortestPause, kPausePerWork * (Clock::now() - begin)));
    }
  }
}

void TcpQuickAck::acknowledge() {
  if (newConnections_.exchange(false)) {
    connections_.clear();
    listener_.forEachConnection([this](int fd) {
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
