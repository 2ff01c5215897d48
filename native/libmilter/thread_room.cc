#include "libmilter/thread_room.h"

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "libmilter/spawn_detached.h"

namespace milter {
namespace {

// The threads of one check. They are detached (R7), and share it, since the process may end meanwhile.
class Probe {
 public:
  // For `most` threads: none of them may run out of memory.
  explicit Probe(size_t most) { ids_.reserve(most); }

  // On a thread of the check: stays until release().
  void stay() {
    std::unique_lock<std::mutex> lock(mutex_);
    ids_.push_back(ownId());
    changed_.notify_all();
    changed_.wait(lock, [this] { return released_; });
  }

  // Lets the threads go, as soon as all of them have begun; waits until the system has forgotten them.
  void release(size_t created) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this, created] { return ids_.size() == created; });
    released_ = true;
    changed_.notify_all();
    lock.unlock();
    for (const long id : ids_) awaitEnd(id);  // none is added any more
  }

 private:
#if defined(__linux__)
  static long ownId() { return ::syscall(SYS_gettid); }

  // A thread counts against the limits until the kernel has released it, which is after it could be joined:
  // on a busy machine long after. While it counts, libmilter might find no room for a session's thread.
  static void awaitEnd(long id) {
    constexpr std::chrono::seconds kLongest{1};
    constexpr std::chrono::microseconds kPause{20};
    const auto deadline = std::chrono::steady_clock::now() + kLongest;
    while (::syscall(SYS_tgkill, ::getpid(), id, 0) == 0 && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(kPause);
    }
  }
#else
  static long ownId() { return 0; }
  static void awaitEnd(long) {}
#endif

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<long> ids_;
  bool released_ = false;
};

// Whether so many threads can be created. Returns when they are gone.
bool canCreate(int count) noexcept {
  try {
    const auto probe = std::make_shared<Probe>(static_cast<size_t>(count));
    int created = 0;
    while (created < count && spawnDetached([probe] { probe->stay(); })) ++created;
    probe->release(static_cast<size_t>(created));
    return created == count;
  } catch (const std::exception&) {
    return false;  // no memory
  }
}

}  // namespace

bool ThreadRoom::has(int count, int64_t callbacks) noexcept {
  constexpr int kFew = 4;
  constexpr int kRelief = 3;
  constexpr std::chrono::seconds kFailureHolds{1};
  constexpr std::chrono::seconds kProofHolds{10};
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto now = Clock::now();
  if (failure_ && now - failure_->at < kFailureHolds && callbacks + kRelief >= failure_->callbacks) {
    // Where few are missing, a smaller check would take the last ones.
    if (count >= failure_->count || failure_->count <= kFew) return false;
  }
  if (callbacks + count <= proven_ && now - provenAt_ < kProofHolds) return true;
  if (!canCreate(count)) {
    failure_ = Failure{now, count, callbacks};
    proven_ = 0;
    return false;
  }
  failure_.reset();
  proven_ = callbacks + count;
  provenAt_ = now;
  return true;
}

}  // namespace milter
