#include "bridge/exchange.h"

#include <algorithm>

namespace milter {

uint32_t Exchange::open(std::chrono::milliseconds patience) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (released_) return kReleased;
  waiting_ = true;
  answered_ = false;
  queued_.clear();
  urgent_.clear();
  patience_ = patience;
  deadline_ = Clock::now() + patience;
  if (++question_ == kReleased) ++question_;
  return question_;
}

Exchange::Result Exchange::await(Mta& mta, Traffic& traffic) {
  std::unique_lock<std::mutex> lock(mutex_);
  const auto slowAt = Clock::now() + Traffic::kSlow;
  bool told = traffic.watched();
  while (!answered_ && !released_) {
    if (!urgent_.empty()) {
      // The MTA has gone: nobody waits for the answer any more.
      if (!performLocked(lock, mta, std::exchange(urgent_, {}))) return endLocked(Outcome::writeFailed);
      continue;
    }
    changed_.wait_until(lock, told ? deadline_ : std::min(deadline_, slowAt));
    if (answered_ || released_) break;
    const auto now = Clock::now();
    if (now >= deadline_) return endLocked(Outcome::expired);  // R5; extend() may have moved it meanwhile
    if (!told && now >= slowAt) {
      traffic.noteSlow();
      told = true;
    }
  }
  if (!answered_) return endLocked(Outcome::released);
  // The JS thread is done with this question: nothing can be queued while the lock is away.
  const bool written = performLocked(lock, mta, std::exchange(urgent_, {})) &&
                       performLocked(lock, mta, std::exchange(queued_, {}));
  return endLocked(written ? Outcome::answered : Outcome::writeFailed);
}

Exchange::Result Exchange::endLocked(Outcome outcome) {
  waiting_ = false;
  return {outcome, std::move(answer_)};
}

// R2: the lock is not held while the MTA is written to, or the JS thread would wait for a slow MTA.
bool Exchange::performLocked(std::unique_lock<std::mutex>& lock, Mta& mta, std::vector<Action> actions) {
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

bool Exchange::answer(uint32_t question, Answer&& answer) {
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

bool Exchange::queue(uint32_t question, Action&& action) {
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

bool Exchange::extend(uint32_t question) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (!isOpenLocked(question)) return false;
  // Without waking the parked thread: it finds the new deadline when the old one ends its wait.
  deadline_ = Clock::now() + patience_;
  return true;
}

void Exchange::release() {
  std::lock_guard<std::mutex> lock(mutex_);
  released_ = true;
  changed_.notify_one();
}

}  // namespace milter
