// The listening socket, with what libmilter does not do itself: it neither says why opening failed, nor minds
// whose socket it removes, nor sets permissions, nor shows its descriptor.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include "bridge/process.h"
#include "libmilter/listener_thread.h"
#include "libmilter/socket_address.h"
#include "libmilter/socket_spec.h"
#include "libmilter/unix_socket_file.h"
#include "libmilter/wakeup_socket.h"

namespace milter {

class Listener {
 public:
  // Opens `spec` through smfi_setconn and smfi_opensocket. libmilter closes a socket only when it stops, so
  // that only one can ever be opened: later calls succeed for the same `spec`, and fail for another.
  std::optional<OpenFailure> open(const std::string& spec, const OpenOptions& options);

  // Runs libmilter on this thread until it has stopped. False if it failed.
  bool run() { return thread_.run(); }
  // Ends the wait of libmilter's listener in poll(): by a connection that hangs up, as long as the socket is
  // ours. Any thread.
  void wakeListener();
  // A connection has ended without a session: one of wakeListener(), or a stranger's. Any thread.
  void noteEndWithoutSession();
  // Connections of wakeListener() that libmilter has not come to yet. Some never end: libmilter forgets a
  // connection if it cannot create a thread for it.
  int wakeupsUnderWay() const { return wakeupsUnderWay_.load(); }
  // Waits a moment for them.
  void awaitWakeups() const;
  // Those that are under way count as forgotten.
  void forgetWakeups() { wakeupsUnderWay_ = 0; }
  // Removes the unix socket's file if it is still the one that open() created.
  void removeFile() const;
  // The bound TCP port, 0 for other sockets: `inet:0@host` lets the system choose one.
  int port() const { return address_ ? address_->port() : 0; }
  // Leaves an inherited socket to the other processes that have it: from here on no connection is accepted,
  // and none that waits is lost. False if the socket is the filter's own, or if it could not be done. Called
  // once.
  bool handOver();
  // Whether a connection that came in on the socket is open.
  bool hasConnections() const;
  // Whether one has something that libmilter has not read yet: bytes, or the end of the connection.
  bool hasUnreadConnection() const;
  // Hangs up on every MTA. The descriptors stay open: they are libmilter's.
  void hangUp() const;
  // Calls `visit` with each of this process's connections that came in on the TCP address.
  void forEachConnection(const std::function<void(int fd)>& visit) const;

 private:
  // Whether a connection has been made, or has begun.
  bool connectToSelf();
  std::optional<OpenFailure> openUnix(const std::string& path, const OpenOptions& options);
  std::optional<OpenFailure> openInet(const InetSpec& inet, const std::string& spec);
  std::optional<OpenFailure> openInherited(int fd, const std::string& spec);
  // libmilter listens on `address`.
  void noteOpened(const SocketAddress& address);

  bool opened_ = false;  // libmilter has opened a socket
  bool ready_ = false;   // and it has the permissions asked for
  std::string spec_;
  std::optional<UnixSocketFile> file_;  // of a unix socket that open() created
  std::optional<SocketAddress> address_;
  std::optional<int> inherited_;  // the descriptor of a socket that another process opened
  std::mutex wakeMutex_;
  bool handedOver_ = false;  // guarded by wakeMutex_
  WakeupSocket wakeup_;
  std::atomic<int> wakeupsUnderWay_{0};
  ListenerThread thread_;
};

}  // namespace milter
