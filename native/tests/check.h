// What a test needs: checks that name their line, and a fake of the MTA's side of libmilter.
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

#define CHECK(condition)                                                           \
  do {                                                                             \
    if (!(condition)) {                                                            \
      std::fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
      std::exit(1);                                                                \
    }                                                                              \
  } while (false)

namespace milter::test {

using std::chrono::milliseconds;

// Waits until `condition` holds; a test that waits for ever says what for.
inline void waitUntil(const char* what, const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) {
      std::fprintf(stderr, "waited in vain for: %s\n", what);
      std::exit(1);
    }
    std::this_thread::sleep_for(milliseconds(1));
  }
}

// Keeps what is performed; fails from the `failAt`th action on.
class FakeMta final : public Mta {
 public:
  const char* getsymval(const std::string& name) override { return name == "i" ? "queue-id" : nullptr; }
  bool setreply(const std::string& code, const char*, const std::vector<std::string>& lines) override {
    reply = code + (lines.empty() ? "" : " " + lines.front());
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
  std::function<void()> gate;  // called before each action, without a lock
  std::string reply;           // of the thread that is parked, or of the one that holds it in withMta()

 private:
  std::mutex mutex_;
  std::vector<std::string> performed_;
};

inline Action action(Action::Kind kind, std::string first) {
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
