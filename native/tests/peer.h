// An MTA's side of the milter protocol, in as few lines as a test needs.
#pragma once

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <string>

namespace milter::test {

// The MTA's end of one connection. Every call fails once the filter has hung up.
class Peer {
 public:
  explicit Peer(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    // libmilter does not close connections that are waiting for it when it stops, so a peer must not wait for
    // that.
    const timeval timeout{3, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    open_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  ~Peer() { ::close(fd_); }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  bool send(char command, const std::string& data = "") const {
    const uint32_t length = htonl(static_cast<uint32_t>(data.size() + 1));
    std::string frame(reinterpret_cast<const char*>(&length), 4);
    frame += command + data;
    return open_ &&
           ::send(fd_, frame.data(), frame.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(frame.size());
  }
  // The command byte of the answer, skipping modifications and progress; 0 if there is none.
  char answer() const {
    for (;;) {
      uint32_t length = 0;
      if (!read(reinterpret_cast<char*>(&length), 4)) return 0;
      std::string frame(ntohl(length), '\0');
      if (!read(frame.data(), frame.size())) return 0;
      if (std::strchr("hp", frame[0]) == nullptr) return frame[0];
    }
  }
  char ask(char command, const std::string& data = "") const { return send(command, data) ? answer() : '\0'; }
  bool negotiate() const {
    const uint32_t words[] = {htonl(6), htonl(0x1ff), htonl(0x1fffff)};
    return ask('O', std::string(reinterpret_cast<const char*>(words), sizeof words)) == 'O';
  }

 private:
  bool read(char* to, size_t length) const {
    while (length > 0) {
      const ssize_t n = ::read(fd_, to, length);
      if (n <= 0) return false;
      to += n;
      length -= static_cast<size_t>(n);
    }
    return true;
  }
  const int fd_;
  bool open_;
};

// A string as the protocol has it, ending in NUL.
inline std::string z(const char* text) { return std::string(text) + '\0'; }

}  // namespace milter::test
