#include "libmilter/socket_handover.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "libmilter/descriptor.h"

namespace milter {
namespace {

// The kernel exchanges them in one step, so a thread that uses `number` meanwhile has one or the other. The
// system call is made directly, because ThreadSanitizer takes dup3() for a close() and reports that thread.
bool exchange(int replacement, int number) {
#if defined(__linux__)
  return ::syscall(SYS_dup3, replacement, number, O_CLOEXEC) == number;
#else
  return ::dup2(replacement, number) == number && ::fcntl(number, F_SETFD, FD_CLOEXEC) == 0;
#endif
}

}  // namespace

// Elsewhere than on Linux, accepted sockets would inherit that.
void neverBlockAccept([[maybe_unused]] int fd) {
#if defined(__linux__)
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags >= 0) ::fcntl(fd, F_SETFL, flags | O_NONBLOCK);
#endif
}

bool replaceListener(int fd) {
  int ends[2];
  if (::pipe(ends) != 0) return false;
  const Descriptor silent(ends[0]);
  // Never closed, or else the other end would be ready (R7).
  ::fcntl(ends[1], F_SETFD, FD_CLOEXEC);
  if (exchange(silent.get(), fd)) return true;
  ::close(ends[1]);
  return false;
}

}  // namespace milter
