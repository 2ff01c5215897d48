// libmilter, which exists once per process: its settings, its listening socket, its threads and its end.
//
// R3: nothing here that can block is called from a JS thread. R7: the only object is never destroyed.
#pragma once

#include <libmilter/mfdef.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bridge/process.h"
#include "libmilter/listener.h"
#include "libmilter/negotiation_cache.h"
#include "libmilter/pool_starvation_watchdog.h"
#include "libmilter/signal_thread.h"
#include "libmilter/tcp_quick_ack.h"
#include "libmilter/thread_room.h"

namespace milter {

class Runtime final : public Process {
 public:
  static Runtime& get();

  Version version() const override;
  std::vector<Constant> constants() const override;
  SharedState& sharedState() override { return shared_; }
  bool isRunning() const override { return phase_.load() == Phase::running; }
  bool registerFilter(const std::string& name, unsigned long actions) override;
  bool setTimeout(int seconds) override;
  bool setBacklog(int connections) override;
  bool setDebug(int level) override;
  size_t setMaxDataSize(size_t bytes) override;
  size_t maxDataSize() const override { return maxDataSize_.load(); }
  std::optional<OpenFailure> openSocket(const std::string& spec, const OpenOptions& options) override;
  int port() const override { return listener_.port(); }
  StartResult claim(const void* owner) override;
  void release(const void* owner) override;
  StartResult reserve() override;
  void cancel() override;
  void start(std::shared_ptr<MessageQueue> primary) override;
  void stop(std::chrono::milliseconds drain) override;

  // --- libmilter's threads

  NegotiationCache& negotiationCache() { return negotiationCache_; }
  TcpQuickAck& tcpQuickAck() { return tcpQuickAck_; }
  ThreadRoom& threadRoom() { return threadRoom_; }
  const Listener& listener() const { return listener_; }
  // A connection has ended without a session: one of our own from wakeListener(), perhaps the first.
  void noteConnectionWithoutSession() {
    serving_ = true;
    listener_.noteEndWithoutSession();
  }

 private:
  enum class Phase : uint8_t { idle, running, ended };

  Runtime() = default;

  // Each of these five runs on a thread of its own.
  void runMain();
  void monitorStartup();
  void wakeLateStop();
  void drainAndStop();
  void runStop();
  void awaitLastConnection();

  void finish(bool failed);
  void endSessions();

  SharedState shared_;
  NegotiationCache negotiationCache_;
  Listener listener_;
  SignalThread signalThread_;  // by the thread that starts, then by the start monitor
  ThreadRoom threadRoom_;
  PoolStarvationWatchdog watchdog_{shared_.inFlight, listener_, threadRoom_};
  TcpQuickAck tcpQuickAck_{shared_.inFlight, listener_};
  std::shared_ptr<MessageQueue>
      primary_;  // set before the first thread starts, kept until the process ends (R7)
  std::atomic<const void*> owner_{nullptr};
  std::atomic<size_t> maxDataSize_{MILTER_MAX_DATA_SIZE};  // libmilter has no function that reads it
  bool registered_ = false;
  bool opened_ = false;
  std::atomic<Phase> phase_{Phase::idle};
  std::atomic<bool> serving_{false};
  std::atomic<bool> stopping_{false};
  bool handedOver_ = false;               // set before stopRequested_
  std::promise<void> stopRequested_;      // set once, by stop()
  std::promise<void> smfiStopRequested_;  // set once, by drainAndStop()
  std::atomic<bool> smfiStopReturned_{false};
  InFlight::Deadline drainDeadline_{InFlight::kNever};
};

}  // namespace milter
