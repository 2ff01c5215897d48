// Settings that the JS side chooses for the process and libmilter's threads read.
#pragma once

#include <atomic>
#include <chrono>
#include <mutex>
#include <string>
#include <utility>

#include "bridge/answer.h"

namespace milter {

// The answer given in place of a handler that did not answer in time.
struct ExceptionPolicy {
  Verdict verdict = Verdict::tempfail;
  std::string code;  // empty if the verdict has no reply text
  std::string extended;
  std::string text;
};

class Settings {
 public:
  // How long a question may stay open (R5). The JS side's own time-outs are shorter and expire first.
  std::chrono::milliseconds answerTimeout() const { return std::chrono::milliseconds(timeout_.load()); }
  void setAnswerTimeout(int64_t milliseconds) { timeout_.store(milliseconds); }

  // How old the first event of a batch may become before the batch is handed over.
  std::chrono::milliseconds maxBatchAge() const { return std::chrono::milliseconds(maxBatchAge_.load()); }
  void setMaxBatchAge(std::chrono::milliseconds age) { maxBatchAge_.store(age.count()); }

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
  std::atomic<int64_t> maxBatchAge_{20};
  mutable std::mutex mutex_;
  ExceptionPolicy policy_;
};

}  // namespace milter
