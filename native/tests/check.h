// What every test needs: checks that report their line, and a fake Mta.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "bridge/mta.h"

#define CHECK(condition)                                                                 \
  do {                                                                                   \
    if (!(condition)) {                                                                  \
      std::fprintf(stderr, "%s:%d: check failed: %s\n", __FILE__, __LINE__, #condition); \
      std::_Exit(1);                                                                     \
    }                                                                                    \
  } while (false)

namespace milter::test {

using std::chrono::milliseconds;

// Waits until `condition` holds. A test that waits in vain reports what it waited for.
inline void waitUntil(const char* what, const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) {
      std::fprintf(stderr, "timed out waiting for: %s\n", what);
      std::_Exit(1);
    }
    std::this_thread::sleep_for(milliseconds(1));
  }
}

// Remembers the actions that are performed. The `failAt`th one, counted from 0, and all later ones fail.
class FakeMta final : public Mta {
 public:
  const char* getsymval(const std::string& name) override {
    const std::string& value = name == "i" ? queueId : name == "j" ? host : kNone;
    return value.empty() ? nullptr : value.c_str();
  }
  bool setreply(const SmtpReply& given) override {
    reply = given.code + (given.lines.empty() ? "" : " " + given.lines.front());
    return true;
  }
  bool setsymlist(int, const std::string&) override { return true; }
  bool perform(const Action& action) override {
    if (gate) gate();
    std::lock_guard<std::mutex> lock(mutex_);
    if (static_cast<int>(performed_.size()) == failAt) return false;
    performed_.push_back(action.first);
    return true;
  }
  std::vector<std::string> performed() {
    std::lock_guard<std::mutex> lock(mutex_);
    return performed_;
  }

  int failAt = -1;
  std::function<void()> gate;        // called before each action, with no lock held
  std::string queueId = "queue-id";  // the macro i; used like `reply`
  std::string host;                  // the macro j
  std::string reply;  // the last one; used by the parked thread, or by the one inside withMta()

 private:
  const std::string kNone;
  std::mutex mutex_;
  std::vector<std::string> performed_;
};

inline Action action(ActionKind kind, std::string first) {
  Action made{};
  made.kind = kind;
  made.first = std::move(first);
  return made;
}

inline Answer answerOf(Verdict verdict) {
  Answer answer;
  answer.verdict = verdict;
  return answer;
}

}  // namespace milter::test
