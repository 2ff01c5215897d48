#include "libmilter/runtime.h"

#include <libmilter/mfapi.h>

#include <thread>
#include <utility>

#include "libmilter/callbacks.h"
#include "libmilter/spawn_detached.h"

namespace milter {
namespace {

// Until when the replies to questions that have been released may be written.
InFlight::Clock::rep deadlineForReplies() {
  return (InFlight::Clock::now() + std::chrono::seconds(1)).time_since_epoch().count();
}

}  // namespace

Runtime& Runtime::get() {
  static auto* const runtime = new Runtime();  // R7: never freed
  return *runtime;
}

Process& Process::get() { return Runtime::get(); }

Version Runtime::version() const {
  Version version{};
  smfi_version(&version.major, &version.minor, &version.patchlevel);
  return version;
}

bool Runtime::setTimeout(int seconds) { return smfi_settimeout(seconds) == MI_SUCCESS; }
bool Runtime::setBacklog(int connections) { return smfi_setbacklog(connections) == MI_SUCCESS; }
bool Runtime::setDebug(int level) { return smfi_setdbg(level) == MI_SUCCESS; }
size_t Runtime::setMaxDataSize(size_t bytes) {
  maxDataSize_ = bytes;
  return smfi_setmaxdatasize(bytes);
}

bool Runtime::registerFilter(const std::string& name, unsigned long actions) {
  registered_ = smfi_register(describeFilter(const_cast<char*>(name.c_str()), actions)) == MI_SUCCESS;
  return registered_;
}

std::optional<OpenFailure> Runtime::openSocket(const std::string& spec, const OpenOptions& options) {
  auto failure = listener_.open(spec, options);
  opened_ = !failure;
  return failure;
}

StartResult Runtime::claim(const void* owner) {
  if (phase_ == Phase::ended) return StartResult::alreadyRun;
  if (phase_ == Phase::running) return StartResult::inUse;
  const void* found = nullptr;
  return owner_.compare_exchange_strong(found, owner) || found == owner ? StartResult::ready
                                                                        : StartResult::inUse;
}

void Runtime::release(const void* owner) {
  const void* found = owner;
  owner_.compare_exchange_strong(found, nullptr);
}

StartResult Runtime::reserve() {
  if (phase_ == Phase::ended) return StartResult::alreadyRun;
  if (phase_ == Phase::running) return StartResult::inUse;
  if (!registered_ || !opened_) return StartResult::notRegistered;
  Phase idle = Phase::idle;
  return phase_.compare_exchange_strong(idle, Phase::running) ? StartResult::ready : StartResult::inUse;
}

void Runtime::cancel() { phase_ = Phase::idle; }

// The threads that a stop needs are created at the start: when the stop comes, the system may have none left.
void Runtime::start(std::shared_ptr<MessageQueue> primary) {
  primary_ = std::move(primary);
  signalThread_.noteOthers();
  const bool started = spawnDetached([this] { runStop(); }) && spawnDetached([this] { drainAndStop(); }) &&
                       spawnDetached([this] { runMain(); });
  if (!started) {
    finish(true);
    return;
  }
  tcpQuickAck_.start();
  // Without this thread the start is not monitored, and no watchdog finds sessions that libmilter's pool has
  // left without a thread.
  if (!spawnDetached([this] { monitorStartup(); })) {
    (void)primary_->post({MessageKind::ready, nullptr, 0, {}});
  }
}

// A signal that comes before libmilter's signal thread is disarmed may be taken by it, and libmilter stops
// immediately. libmilter starts that thread before its listener, so the filter is reported as ready only when
// a connection has been handled, and the thread is found.
void Runtime::monitorStartup() {
  constexpr std::chrono::milliseconds kPollInterval{2};
  constexpr int kPolls = 250;
  for (int i = 0; i < kPolls && !serving_ && isRunning(); ++i) {
    listener_.wakeListener();
    std::this_thread::sleep_for(kPollInterval);
  }
  auto outcome = SignalThread::Outcome::notFound;
  for (int i = 0; i < kPolls && outcome == SignalThread::Outcome::notFound && isRunning(); ++i) {
    outcome = signalThread_.disarm();
    if (outcome == SignalThread::Outcome::notFound) std::this_thread::sleep_for(kPollInterval);
  }
  (void)primary_->post({MessageKind::ready, nullptr, 0, {}});
  // Without this thread, a stop by libmilter's own takes up to 5 s.
  if (outcome != SignalThread::Outcome::disarmed) (void)spawnDetached([this] { wakeLateStop(); });
  watchdog_.run();
}

// In the first seconds, ends the listener's poll() now and then, so that it sees a stop by libmilter's own
// signal thread before the poll's time-out of 5 s.
void Runtime::wakeLateStop() {
  constexpr std::chrono::milliseconds kPollInterval{200};
  constexpr int kPolls = 10;
  for (int i = 0; i < kPolls && !stopping_ && isRunning(); ++i) {
    std::this_thread::sleep_for(kPollInterval);
    // drainAndStop() wakes the listener itself.
    if (!stopping_ && threadRoom_.has(2, shared_.inFlight.callbacks())) listener_.wakeListener();
  }
}

void Runtime::runMain() {
  const bool failed = !listener_.run();
  // When smfi_stop closes the listener's socket, smfi_main may report that as a failure.
  finish(failed && !stopping_);
}

// libmilter serves no session any more. The first thread to find that out does the work; later calls do
// nothing.
void Runtime::finish(bool failed) {
  Phase running = Phase::running;
  if (!phase_.compare_exchange_strong(running, Phase::ended)) return;
  watchdog_.retire();
  if (serving_) endSessions();
  listener_.removeFile();  // libmilter itself does this unless it runs as root
  shared_.dispatcher.notifyStopped(failed);
}

// When libmilter's controller ends, it closes the sessions that are idle at that moment. If a session's
// thread gives it back later, nothing reads from its connection any more, and the MTA would wait until the
// process ends. This happens if an MTA reads the last reply late, and with libmilter 8.18 on a busy machine.
void Runtime::endSessions() {
  // A stop by libmilter's signal thread leaves questions open, and transactions are begun until here.
  if (!shared_.inFlight.draining()) shared_.inFlight.drain();
  shared_.dispatcher.releaseAll();
  const InFlight::Deadline written{deadlineForReplies()};
  shared_.inFlight.awaitIdle(written, false);
  listener_.hangUp();
}

void Runtime::stop(std::chrono::milliseconds drain) {
  if (phase_ != Phase::running) return;
  InFlight::bringForward(drainDeadline_, InFlight::Clock::now() + drain);
  if (stopping_.exchange(true)) return;
  handedOver_ = listener_.handOver();
  // Done here, so that no transaction begins once stop() has returned.
  if (!handedOver_) shared_.inFlight.drain();
  stopRequested_.set_value();  // R3
}

// smfi_stop waits for a mutex that the listener holds while it polls, so it has a thread of its own.
void Runtime::runStop() {
  smfiStopRequested_.get_future().wait();
  smfi_stop();
  smfiStopReturned_ = true;
}

// Once the socket is handed over there are no new connections, so those that are open are served to their
// end, and a message of theirs is not refused because of the stop.
void Runtime::awaitLastConnection() {
  // An accept() that was under way when the socket was handed over has returned after the first of these.
  constexpr std::chrono::milliseconds kPollInterval{100};
  do {
    std::this_thread::sleep_for(kPollInterval);
  } while (InFlight::Clock::now().time_since_epoch().count() < drainDeadline_.load() &&
           listener_.hasConnections());
}

void Runtime::drainAndStop() {
  using Clock = InFlight::Clock;
  stopRequested_.get_future().wait();
  if (handedOver_) {
    awaitLastConnection();
    shared_.inFlight.drain();
  }
  if (!shared_.inFlight.awaitIdle(drainDeadline_, true)) {
    shared_.dispatcher.releaseAll();
    const InFlight::Deadline written{deadlineForReplies()};
    shared_.inFlight.awaitIdle(written, false);
  }
  smfiStopRequested_.set_value();
  // The listener polls for up to 5 s. A connection ends that, but only one made after smfi_stop has set its
  // flag: so it is repeated.
  constexpr std::chrono::milliseconds kPollInterval{10};
  // libmilter destroys a mutex that its other threads still use (tm_w_mutex, in mi_pool_controller).
  // Sometimes one of them, the listener too, can block forever, so this stop has its own deadlines (R5).
  constexpr std::chrono::seconds kAfterSmfiStop{2};
  constexpr std::chrono::seconds kTotal{8};
  const auto begin = Clock::now();
  auto lastUnreturned = begin;
  while (phase_ == Phase::running) {
    std::this_thread::sleep_for(kPollInterval);
    const auto now = Clock::now();
    if (!smfiStopReturned_) {
      lastUnreturned = now;
      listener_.wakeListener();
    }
    if (now - lastUnreturned > kAfterSmfiStop || now - begin > kTotal) finish(false);
  }
}

}  // namespace milter
