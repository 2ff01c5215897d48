#include "libmilter/signal_thread.h"

#if defined(__linux__)

#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <exception>
#include <fstream>
#include <string>
#include <thread>

#include "libmilter/numbered_entries.h"

namespace milter {
namespace {

// What the handler knows of: lock-free, as all that a handler may touch.
std::atomic<bool> caught{false};
static_assert(std::atomic<bool>::is_always_lock_free);

// Runs on libmilter's thread, with all signals blocked for as long as it lives. Those of the C library, for
// setuid(), still come through, and end one pause().
void stay(int /*signal*/, siginfo_t* info, void* /*context*/) {
  if (info->si_code != SI_QUEUE || info->si_value.sival_ptr != &caught) return;
  caught = true;
  for (;;) ::pause();
}

std::set<long> threads() {
  std::set<long> found;
  forEachNumberedEntry("/proc/self/task", [&](unsigned id) { found.insert(id); });
  return found;
}

// The system call that a thread is in, or what else it does; empty if the process may not know.
std::string systemCallOf(long id) {
  std::string call;
  std::ifstream("/proc/self/task/" + std::to_string(id) + "/syscall") >> call;
  return call;
}

// A real-time signal for which no handler is installed; 0 if there is none.
int freeSignal() {
  for (int signal = SIGRTMAX; signal >= SIGRTMIN; --signal) {
    struct sigaction current{};
    if (::sigaction(signal, nullptr, &current) == 0 && current.sa_handler == SIG_DFL) return signal;
  }
  return 0;
}

bool send(long id, int signal) {
  siginfo_t info{};
  info.si_signo = signal;
  info.si_code = SI_QUEUE;
  info.si_pid = ::getpid();
  info.si_uid = ::getuid();
  info.si_value.sival_ptr = &caught;
  return ::syscall(SYS_rt_tgsigqueueinfo, ::getpid(), id, signal, &info) == 0;
}

// Sends a thread into stay(). The handler is removed again only if the thread has got there: otherwise the
// signal is still on its way, and its default action would end the process.
bool catchThread(long id) {
  constexpr std::chrono::milliseconds kPause{1};
  constexpr int kPauses = 100;
  const int signal = freeSignal();
  if (signal == 0) return false;
  struct sigaction ours{};
  struct sigaction before{};
  ours.sa_sigaction = stay;
  ours.sa_flags = SA_SIGINFO;
  ::sigfillset(&ours.sa_mask);
  if (::sigaction(signal, &ours, &before) != 0) return false;
  if (send(id, signal)) {
    for (int i = 0; i < kPauses && !caught; ++i) std::this_thread::sleep_for(kPause);
    if (!caught) return false;
  }
  ::sigaction(signal, &before, nullptr);
  return caught;
}

}  // namespace

void SignalThread::noteOthers() noexcept {
  try {
    others_ = threads();
  } catch (const std::exception&) {
    others_.clear();  // no memory: no other thread of a Node process is likely to wait for signals
  }
}

SignalThread::Outcome SignalThread::disarm() noexcept {
  try {
    const std::string sigwait = std::to_string(SYS_rt_sigtimedwait);
    Outcome outcome = Outcome::failed;
    for (const long id : threads()) {
      const std::string call = systemCallOf(id);
      if (!call.empty()) outcome = Outcome::notFound;
      if (call != sigwait || others_.count(id) != 0) continue;
      return catchThread(id) ? Outcome::disarmed : Outcome::failed;
    }
    return outcome;
  } catch (const std::exception&) {
    return Outcome::failed;  // no memory
  }
}

}  // namespace milter

#else

namespace milter {

void SignalThread::noteOthers() noexcept {}
SignalThread::Outcome SignalThread::disarm() noexcept { return Outcome::failed; }

}  // namespace milter

#endif
