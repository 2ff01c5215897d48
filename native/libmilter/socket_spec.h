// A socket in libmilter's notation: unix:PATH, local:PATH or PATH, inet:PORT@HOST, inet6:PORT@HOST, fd:N.
#pragma once

#include <optional>
#include <string>

namespace milter {

struct InetSpec {
  int family;        // AF_INET or AF_INET6
  std::string host;  // empty for the wildcard address
  std::string port;  // a number or the name of a service
};

// The path of a unix socket; empty for other sockets.
std::string unixPathOf(const std::string& spec);
// The descriptor of `fd:N`, -1 if N is not a number; nullopt for other sockets.
std::optional<int> inheritedDescriptorOf(const std::string& spec);
// nullopt for other sockets.
std::optional<InetSpec> inetSpecOf(const std::string& spec);

// A decimal number and nothing else. The greatest one is refused: chown() takes it to mean "leave it as it
// is".
std::optional<unsigned> parseNumber(const std::string& text);

}  // namespace milter
