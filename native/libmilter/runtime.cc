#include "libmilter/runtime.h"

#include <libmilter/mfapi.h>

#include <atomic>
#include <memory>
#include <thread>
#include <utility>

#include "libmilter/callbacks.h"
#include "libmilter/spawn_detached.h"

namespace milter {

Runtime& Runtime::get() {
  static Runtime* const runtime = new Runtime();  // R7: never freed
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
size_t Runtime::setMaxDataSize(size_t bytes) { return smfi_setmaxdatasize(bytes); }

bool Runtime::registerFilter(const std::string& name, unsigned long actions) {
  registered_ = smfi_register(describeFilter(const_cast<char*>(name.c_str()), actions)) == MI_SUCCESS;
  return registered_;
}

std::optional<OpenFailure> Runtime::openSocket(const std::string& spec, const OpenOptions& options) {
  auto failure = listener_.open(spec, options);
  opened_ = !failure;
  return failure;
}

Process::StartResult Runtime::reserve() {
  if (phase_ == Phase::ended) return StartResult::alreadyRun;
  if (phase_ == Phase::running) return StartResult::inUse;
  if (!registered_ || !opened_) return StartResult::notRegistered;
  Phase idle = Phase::idle;
  return phase_.compare_exchange_strong(idle, Phase::running) ? StartResult::ready : StartResult::inUse;
}

void Runtime::cancel() { phase_ = Phase::idle; }

// Those that a stop needs are there from the start: when it comes, there may be no thread to be had.
void Runtime::start(std::shared_ptr<MessageQueue> primary) {
  primary_ = std::move(primary);
  const bool started = spawnDetached([this] { runStop(); }) && spawnDetached([this] { drainAndStop(); }) &&
                       spawnDetached([this] { run(); });
  if (!started) {
    finish(true);
    return;
  }
  tcpQuickAck_.start();
  // Without it no session is found that libmilter's pool has forgotten, and the start is not watched.
  if (!spawnDetached([this] { monitorStartup(); }))
    (void)primary_->post({Message::Kind::ready, nullptr, 0, {}});
}

// libmilter's thread for signals takes one that is on its way to Node's main thread if it comes to wait just
// then, and stops without further ado. So nobody is told that the filter runs before a connection has been
// all the way through: that thread is started first. On a busy machine it may still come to wait later, and
// the listener would see its stop only when its poll ends, after 5 s: watchStart() ends that poll sooner.
void Runtime::monitorStartup() {
  constexpr std::chrono::milliseconds kPollInterval{2};
  for (int i = 0; i < 250 && !serving_ && isRunning(); ++i) {
    listener_.wakeListener();
    std::this_thread::sleep_for(kPollInterval);
  }
  (void)primary_->post({Message::Kind::ready, nullptr, 0, {}});
  (void)spawnDetached([this] { watchStart(); });  // without it, such a stop takes longer
  watchdog_.run();
}

void Runtime::watchStart() {
  constexpr std::chrono::milliseconds kPollInterval{200};
  for (int i = 0; i < 10 && !stopping_ && isRunning(); ++i) {
    std::this_thread::sleep_for(kPollInterval);
    if (!stopping_) listener_.wakeListener();  // drainAndStop() does its own
  }
}

void Runtime::run() {
  const bool failed = smfi_main() != MI_SUCCESS;
  // A listener whose socket smfi_stop has closed under it calls that a failure.
  finish(failed && !stopping_);
}

// libmilter serves no session from here on. Comes once, from the thread that is first to know.
void Runtime::finish(bool failed) {
  Phase running = Phase::running;
  if (!phase_.compare_exchange_strong(running, Phase::ended)) return;
  watchdog_.retire();
  // A stop that libmilter began itself (a signal of its own thread's) leaves questions open.
  shared_.dispatcher.releaseAll();
  listener_.removeFile();  // libmilter does this for others than root
  shared_.dispatcher.notifyStopped(failed);
}

void Runtime::stop(std::chrono::milliseconds drain) {
  if (phase_ != Phase::running) return;
  InFlight::bringForward(drainDeadline_, InFlight::Clock::now() + drain);
  if (stopping_.exchange(true)) return;
  // From here on: whoever called stop() knows that no message begins any more.
  shared_.inFlight.drain();
  stopRequested_.set_value();  // R3
}

// smfi_stop waits for a mutex that the listener holds while it polls.
void Runtime::runStop() {
  smfiStopRequested_.get_future().wait();
  smfi_stop();
  stopReturned_ = true;
}

void Runtime::drainAndStop() {
  stopRequested_.get_future().wait();
  InFlight& inFlight = shared_.inFlight;
  if (!inFlight.awaitQuiet(drainDeadline_, true)) {
    shared_.dispatcher.releaseAll();
    // For the replies to what was released.
    InFlight::Deadline written{(InFlight::Clock::now() + std::chrono::seconds(1)).time_since_epoch().count()};
    inFlight.awaitQuiet(written, false);
  }
  // The listener polls for up to 5 s; a connection ends that, but only one that comes after the stop flag is
  // set, and only smfi_stop sets it.
  smfiStopRequested_.set_value();
  constexpr std::chrono::milliseconds kPollInterval{10};
  // libmilter destroys a mutex that its other threads still use (mi_pool_controller's tm_w_mutex): now and
  // then one of them, the listener too, then waits for ever. R5: this stop does not.
  constexpr std::chrono::seconds kAfterReturn{2};
  constexpr std::chrono::seconds kWhole{8};
  const auto begun = InFlight::Clock::now();
  auto lastWaiting = begun;
  while (phase_ == Phase::running) {
    std::this_thread::sleep_for(kPollInterval);
    const auto now = InFlight::Clock::now();
    if (!stopReturned_) {
      lastWaiting = now;
      listener_.wakeListener();
    }
    if (now - lastWaiting > kAfterReturn || now - begun > kWhole) finish(false);
  }
}

}  // namespace milter
