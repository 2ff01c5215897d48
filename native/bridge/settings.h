// What the JS side has chosen for the process, read by libmilter's threads.
#pragma once

#include <atomic>
#include <chrono>
#include <mutex>
#include <string>

#include "bridge/answer.h"

namespace milter {

// The answer that stands in for a handler that gave none in time.
struct ExceptionPolicy {
  Verdict verdict = Verdict::tempfail;
  std::string code;  // empty where the verdict carries no text
  std::string extended;
  std::string text;
};

class Settings {
 public:
  // How long a question may stay open. Milliseconds; the JS side's own timers are shorter and come first.
  std::chrono::milliseconds answerTimeout() const { return std::chrono::milliseconds(timeout_.load()); }
  void setAnswerTimeout(int64_t milliseconds) { timeout_.store(milliseconds); }

  ExceptionPolicy policy() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return policy_;
  }
  void setPolicy(ExceptionPolicy policy) {
    std::lock_guard<std::mutex> lock(mutex_);
    policy_ = std::move(policy);
  }

 private:
  std::atomic<int64_t> timeout_{301'000};
  mutable std::mutex mutex_;
  ExceptionPolicy policy_;
};

}  // namespace milter
