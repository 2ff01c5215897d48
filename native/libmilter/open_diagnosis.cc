#include "libmilter/open_diagnosis.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>

#include "libmilter/descriptor.h"
#include "libmilter/errno_name.h"
#include "libmilter/inet_address.h"

namespace milter {

OpenFailure fromErrno(int error, const std::string& about) { return {errnoName(error), about}; }

OpenFailure diagnoseOpenFailure(const SocketAddress& address, const std::string& about) {
  const Descriptor fd(bindTo(address));
  if (fd.get() < 0) return fromErrno(errno, about);
  const bool listens = ::listen(fd.get(), 1) == 0;
  const int error = errno;
  if (address.family() == AF_UNIX) ::unlink(reinterpret_cast<const sockaddr_un*>(address.get())->sun_path);
  return listens ? OpenFailure{"ERR_MILTER_OPEN_SOCKET", about} : fromErrno(error, about);
}

}  // namespace milter
