// The listening socket, with what libmilter does not do itself: it neither says why opening failed, nor minds
// whose socket it removes, nor sets permissions, nor shows its descriptor.
#pragma once

#include <sys/socket.h>

#include <functional>
#include <optional>
#include <string>

#include "bridge/process.h"
#include "libmilter/unix_socket_file.h"

namespace milter {

class Listener {
 public:
  // Opens `spec` through smfi_setconn and smfi_opensocket. libmilter closes a socket only when it stops, so
  // that only one can ever be opened: later calls succeed for the same `spec`, and fail for another.
  std::optional<OpenFailure> open(const std::string& spec, const OpenOptions& options);

  // Connects and hangs up, which ends the wait of libmilter's listener in poll().
  void wakeListener() const;
  // Removes the unix socket's file if it is still the one that open() created.
  void removeFile() const;
  // The bound TCP port, 0 for other sockets: `inet:0@host` lets the system choose one.
  int port() const;
  // Calls `visit` with each of this process's connections that came in on the TCP port.
  void forEachConnection(const std::function<void(int fd)>& visit) const;

 private:
  void findAddress(const std::function<bool(int fd)>& isNew);

  bool opened_ = false;  // libmilter has opened a socket
  bool ready_ = false;   // and it has the permissions asked for
  std::string spec_;
  std::optional<UnixSocketFile> file_;  // of a unix socket
  sockaddr_storage address_{};
  socklen_t addressLength_ = 0;  // 0: not known
};

}  // namespace milter
