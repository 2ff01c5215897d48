// libmilter, which exists once per process: its settings, its listening socket, its threads, its end.
//
// R3: nothing here that can block is called from a JS thread. R7: the one object is never destroyed.
#pragma once

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bridge/mailbox.h"
#include "bridge/process.h"
#include "libmilter/listener.h"
#include "libmilter/nudger.h"
#include "libmilter/parting.h"
#include "libmilter/prompt_tcp.h"

namespace milter {

class Runtime final : public Process {
 public:
  static Runtime& get();

  Version version() const override;
  std::vector<Constant> constants() const override;
  House& house() override { return house_; }
  bool isRunning() const override { return phase_.load() == Phase::running; }
  bool hasEnded() const override { return phase_.load() == Phase::ended; }
  bool registerFilter(const std::string& name, unsigned long actions) override;
  bool setTimeout(int seconds) override;
  bool setBacklog(int connections) override;
  bool setDebug(int level) override;
  size_t setMaxDataSize(size_t bytes) override;
  std::optional<OpenFailure> openSocket(const std::string& spec, const OpenOptions& options) override;
  int port() const override { return listener_.port(); }
  Start reserve() override;
  void cancel() override;
  void start(std::shared_ptr<Mailbox> lead) override;
  void stop(std::chrono::milliseconds drain) override;

  // --- libmilter's threads

  PartingTerms& parting() { return parting_; }
  PromptTcp& promptTcp() { return promptTcp_; }
  // A connection has ended that never became a session: one of our own kicks, perhaps the first.
  void noteStranger() { serving_ = true; }

 private:
  enum class Phase : uint8_t { idle, running, ended };

  Runtime() = default;
  void run();
  void attend();
  void watchStart();
  void shutDown();
  void halt();
  void finish(bool failed);

  House house_;
  PartingTerms parting_;
  Listener listener_;
  Nudger nudger_{house_.traffic, listener_};
  PromptTcp promptTcp_{house_.traffic, listener_};
  std::shared_ptr<Mailbox> lead_;  // set before the first thread, kept for ever (R7)
  bool registered_ = false;
  bool opened_ = false;
  std::atomic<Phase> phase_{Phase::idle};
  std::atomic<bool> serving_{false};
  std::atomic<bool> stopping_{false};
  std::promise<void> stopWanted_;  // by stop(), once
  std::promise<void> haltWanted_;  // by shutDown(), once
  std::atomic<bool> halted_{false};
  Traffic::Deadline drainUntil_{Traffic::kNever};
};

}  // namespace milter
