#include "bridge/pending_reply.h"

#include <algorithm>

namespace milter {

uint32_t PendingReply::open(std::chrono::milliseconds timeout) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (released_) return kReleased;
  waiting_ = true;
  answered_ = false;
  queued_.clear();
  urgent_.clear();
  timeout_ = timeout;
  deadline_ = Clock::now() + timeout;
  if (++question_ == kReleased) ++question_;
  return question_;
}

PendingReply::Result PendingReply::await(Mta& mta, InFlight& inFlight) {
  std::unique_lock<std::mutex> lock(mutex_);
  const auto slowAt = Clock::now() + InFlight::kSlow;
  bool told = inFlight.watchdogActive();
  while (!answered_ && !released_) {
    if (!urgent_.empty()) {
      // The MTA has gone: nobody waits for the answer any more.
      if (!performLocked(lock, mta, std::exchange(urgent_, {}))) return endLocked(Outcome::writeFailed);
      continue;
    }
    changed_.wait_until(lock, told ? deadline_ : std::min(deadline_, slowAt));
    if (answered_ || released_) break;
    const auto now = Clock::now();
    if (now >= deadline_)
      return endLocked(Outcome::expired);  // R5; resetDeadline() may have moved it meanwhile
    if (!told && now >= slowAt) {
      inFlight.noteSlow();
      told = true;
    }
  }
  if (!answered_) return endLocked(Outcome::released);
  // The JS thread is done with this question: nothing can be queued while the lock is away.
  const bool written = performLocked(lock, mta, std::exchange(urgent_, {})) &&
                       performLocked(lock, mta, std::exchange(queued_, {}));
  return endLocked(written ? Outcome::answered : Outcome::writeFailed);
}

PendingReply::Result PendingReply::endLocked(Outcome outcome) {
  waiting_ = false;
  return {outcome, std::move(answer_)};
}

// R2: the lock is not held while the MTA is written to, or the JS thread would wait for a slow MTA.
bool PendingReply::performLocked(std::unique_lock<std::mutex>& lock, Mta& mta, std::vector<Action> actions) {
  if (actions.empty()) return true;
  lock.unlock();
  bool written = true;
  for (const Action& action : actions) {
    written = mta.perform(action);
    if (!written) break;  // what follows must not be sent without what came before
  }
  lock.lock();
  return written;
}

bool PendingReply::answer(uint32_t question, Answer&& answer) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!isOpenLocked(question)) return false;  // R6
    answered_ = true;
    answer_ = std::move(answer);
  }
  // Without the lock, which the woken thread would otherwise find held and go to sleep for again.
  changed_.notify_one();
  return true;
}

bool PendingReply::queue(uint32_t question, Action&& action) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (!isOpenLocked(question)) return false;
  if (action.kind == Action::Kind::progress) {
    urgent_.push_back(std::move(action));
    changed_.notify_one();
  } else {
    queued_.push_back(std::move(action));
  }
  return true;
}

bool PendingReply::resetDeadline(uint32_t question) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (!isOpenLocked(question)) return false;
  // Without waking the parked thread: it finds the new deadline when the old one ends its wait.
  deadline_ = Clock::now() + timeout_;
  return true;
}

void PendingReply::release() {
  std::lock_guard<std::mutex> lock(mutex_);
  released_ = true;
  changed_.notify_one();
}

}  // namespace milter
