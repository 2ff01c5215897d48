#include "bridge/pending_reply.h"

#include <algorithm>

namespace milter {

uint32_t PendingReply::open(std::chrono::milliseconds timeout) {
  const std::lock_guard<std::mutex> lock(mutex_);
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
  bool reportedSlow = inFlight.watchdogActive();
  while (!answered_ && !released_) {
    if (!urgent_.empty()) {
      // After a failed write the MTA is gone, and does not wait for the answer.
      if (!performLocked(lock, mta, std::exchange(urgent_, {}))) return endLocked(Outcome::writeFailed);
      continue;
    }
    changed_.wait_until(lock, reportedSlow ? deadline_ : std::min(deadline_, slowAt));
    if (answered_ || released_) break;
    const auto now = Clock::now();
    // R5; resetDeadline() may have moved the deadline meanwhile.
    if (now >= deadline_) return endLocked(Outcome::expired);
    if (!reportedSlow && now >= slowAt) {
      inFlight.noteSlow();
      reportedSlow = true;
    }
  }
  if (!answered_) return endLocked(Outcome::released);
  // The question is answered, so nothing more can be queued while performLocked() gives the lock back.
  const bool written = performLocked(lock, mta, std::exchange(urgent_, {})) &&
                       performLocked(lock, mta, std::exchange(queued_, {}));
  return endLocked(written ? Outcome::answered : Outcome::writeFailed);
}

PendingReply::Result PendingReply::endLocked(Outcome outcome) {
  waiting_ = false;
  return {outcome, answer_};
}

// R2: the lock is not held while the MTA is written to, because the JS thread would wait for a slow MTA.
bool PendingReply::performLocked(std::unique_lock<std::mutex>& lock, Mta& mta,
                                 const std::vector<Action>& actions) {
  if (actions.empty()) return true;
  lock.unlock();
  // An action must not be sent without the ones before it, so the first failure ends the loop.
  const bool written =
      std::all_of(actions.begin(), actions.end(), [&](const Action& action) { return mta.perform(action); });
  lock.lock();
  return written;
}

bool PendingReply::answer(uint32_t question, const Answer& answer) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!isOpenLocked(question)) return false;  // R6
    answered_ = true;
    answer_ = answer;
  }
  // After the lock is given back: the woken thread needs it first, and would go to sleep again.
  changed_.notify_one();
  return true;
}

bool PendingReply::queue(uint32_t question, Action&& action) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!isOpenLocked(question)) return false;
  if (action.kind == ActionKind::progress) {
    urgent_.push_back(std::move(action));
    changed_.notify_one();
  } else {
    queued_.push_back(std::move(action));
  }
  return true;
}

bool PendingReply::resetDeadline(uint32_t question) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!isOpenLocked(question)) return false;
  // The parked thread need not wake up for this: it looks at the deadline again when the old one has passed.
  deadline_ = Clock::now() + timeout_;
  return true;
}

void PendingReply::release() {
  const std::lock_guard<std::mutex> lock(mutex_);
  released_ = true;
  changed_.notify_one();
}

void PendingReply::abandon() {
  const std::lock_guard<std::mutex> lock(mutex_);
  released_ = true;
  waiting_ = false;
}

}  // namespace milter
