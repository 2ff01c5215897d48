#include "libmilter/listener_thread.h"

#include <libmilter/mfapi.h>

#include <csignal>

namespace milter {
namespace {

// Ignored unless a process asks for it, and no error if it comes at the wrong time. It must have a handler to
// end a poll(), and any will do: that of the application is left where it is.
constexpr int kSignal = SIGURG;

void doNothing(int /*signal*/) {}

void installHandler() {
  struct sigaction current{};
  if (::sigaction(kSignal, nullptr, &current) != 0) return;
  if (current.sa_handler != SIG_DFL && current.sa_handler != SIG_IGN) return;
  struct sigaction ours{};
  ours.sa_handler = doNothing;
  ours.sa_flags = SA_RESTART;  // for all calls but poll(), which never is: signal(7)
  ::sigaction(kSignal, &ours, nullptr);
}

}  // namespace

bool ListenerThread::run() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    thread_ = ::pthread_self();
  }
  const bool stopped = smfi_main() == MI_SUCCESS;
  const std::lock_guard<std::mutex> lock(mutex_);
  thread_.reset();
  return stopped;
}

void ListenerThread::interrupt() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!thread_) return;
  installHandler();
  ::pthread_kill(*thread_, kSignal);
}

}  // namespace milter
