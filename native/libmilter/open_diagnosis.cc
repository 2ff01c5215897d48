#include "libmilter/open_diagnosis.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>

#include "libmilter/descriptor.h"
#include "libmilter/errno_name.h"
#include "libmilter/socket_spec.h"
#include "libmilter/unix_socket_file.h"

namespace milter {
namespace {

constexpr const char* kUnknownReason = "ERR_MILTER_OPEN_SOCKET";

OpenFailure diagnoseInet(const InetSpec& inet, const std::string& spec) {
  addrinfo hints{};
  hints.ai_family = inet.family;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const char* const host = inet.host.empty() ? nullptr : inet.host.c_str();
  if (getaddrinfo(host, inet.port.c_str(), &hints, &found) != 0) return {"ENOTFOUND", spec};
  const Descriptor fd(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int yes = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  int error = 0;
  if (fd.get() < 0 || ::bind(fd.get(), found->ai_addr, found->ai_addrlen) != 0 ||
      ::listen(fd.get(), 1) != 0) {
    error = errno;
  }
  freeaddrinfo(found);
  return error != 0 ? fromErrno(error, spec) : OpenFailure{kUnknownReason, spec};
}

OpenFailure diagnoseUnix(const std::string& path) {
  const Descriptor fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_un address = unixAddress(path);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return fromErrno(errno, path);
  }
  ::unlink(path.c_str());
  return {kUnknownReason, path};
}

}  // namespace

OpenFailure fromErrno(int error, const std::string& about) { return {errnoName(error), about}; }

OpenFailure diagnoseOpenFailure(const std::string& spec) {
  if (const std::string path = unixPathOf(spec); !path.empty()) return diagnoseUnix(path);
  if (const auto inet = inetSpecOf(spec)) return diagnoseInet(*inet, spec);
  return {"ERR_MILTER_BAD_SOCKET", spec};
}

}  // namespace milter
