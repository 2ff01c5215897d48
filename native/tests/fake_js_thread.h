// Stands in for a JS thread: takes messages, answers questions by way of a function, and remembers what came.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "bridge/message_queue.h"
#include "bridge/session.h"

namespace milter::test {

class FakeJsThread {
 public:
  // Answers a question through message.session->pendingReply(), before it returns or not at all.
  using Responder = std::function<void(Message&)>;

  // `onStart` runs first on the thread; `onClosed` gets the messages `closed`.
  explicit FakeJsThread(
      Responder responder, std::function<void()> onStart = [] {}, Responder onClosed = [](Message&) {})
      : respond_(std::move(responder)),
        onClosed_(std::move(onClosed)),
        thread_([this, onStart = std::move(onStart)] {
          onStart();
          run();
        }) {}
  ~FakeJsThread() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      over_ = true;
    }
    woken_.notify_one();
    thread_.join();
  }
  FakeJsThread(const FakeJsThread&) = delete;
  FakeJsThread& operator=(const FakeJsThread&) = delete;

  const std::shared_ptr<MessageQueue>& queue() const { return queue_; }
  // The steps of each question so far, as text; of other messages, the name of the kind.
  std::vector<std::string> seen() {
    std::lock_guard<std::mutex> lock(mutex_);
    return seen_;
  }
  size_t count(const std::string& line) {
    size_t found = 0;
    for (const std::string& one : seen()) found += one == line ? 1 : 0;
    return found;
  }

 private:
  void run() {
    for (;;) {
      {
        std::unique_lock<std::mutex> lock(mutex_);
        woken_.wait(lock, [this] { return wake_ || over_; });
        if (over_ && !wake_) return;
        wake_ = false;
      }
      for (Message& message : queue_->take()) read(message);
    }
  }
  void read(Message& message) {
    std::string line;
    if (message.kind == MessageKind::question) {
      for (const Event& event : message.batch->events()) {
        line += (line.empty() ? "" : " ") + std::string(kStepNames[static_cast<unsigned>(event.step)]);
      }
    } else {
      line = kMessageNames[static_cast<unsigned>(message.kind)];
    }
    {
      std::lock_guard<std::mutex> lock(mutex_);
      seen_.push_back(line);
    }
    if (message.kind == MessageKind::question) respond_(message);
    if (message.kind == MessageKind::closed) onClosed_(message);
  }

  const Responder respond_;
  const Responder onClosed_;
  std::mutex mutex_;
  std::condition_variable woken_;
  bool wake_ = false;
  bool over_ = false;
  std::vector<std::string> seen_;
  const std::shared_ptr<MessageQueue> queue_ = std::make_shared<MessageQueue>([this] {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      wake_ = true;
    }
    woken_.notify_one();
  });
  std::thread thread_;
};

}  // namespace milter::test
