// The listening socket: what libmilter does not do itself. It neither tells why opening failed, nor minds
// whose socket it removes, nor sets permissions, nor shows its descriptor.
#pragma once

#include <sys/socket.h>
#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>

#include "bridge/process.h"

namespace milter {

class Listener {
 public:
  // Opens `spec` through smfi_setconn and smfi_opensocket.
  std::optional<OpenFailure> open(const std::string& spec, const OpenOptions& options);

  // Connects and hangs up, which ends the listener's wait in poll().
  void wakeListener() const;
  // Removes the unix socket's file if it still is the one that open() made.
  void removeFile() const;
  // The bound TCP port (0 for other sockets): `inet:0@host` lets the system choose one.
  int port() const;
  // Calls `visit` with each of this process's connections that came in on the TCP port.
  void eachConnection(const std::function<void(int fd)>& visit) const;

 private:
  std::optional<OpenFailure> removeStaleSocket(const OpenOptions& options) const;
  std::optional<OpenFailure> resolve(const OpenOptions& options);
  std::optional<OpenFailure> applyPermissions(const OpenOptions& options) const;
  OpenFailure diagnose() const;
  void rememberFile();
  bool ownsFile() const;

  bool opened_ = false;  // libmilter has opened a socket
  bool ready_ = false;   // and it has the permissions asked for
  std::string spec_;
  std::string path_;  // of a unix socket, else empty
  uid_t owner_ = static_cast<uid_t>(-1);
  gid_t group_ = static_cast<gid_t>(-1);
  dev_t device_ = 0;
  ino_t inode_ = 0;
  sockaddr_storage address_{};
  socklen_t addressLength_ = 0;
};

}  // namespace milter
