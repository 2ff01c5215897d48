#include "libmilter/socket_spec.h"

#include <strings.h>
#include <sys/socket.h>

#include <charconv>
#include <limits>
#include <string_view>

namespace milter {
namespace {

bool startsWith(const std::string& text, std::string_view start) {
  return text.size() >= start.size() && strncasecmp(text.c_str(), start.data(), start.size()) == 0;
}

}  // namespace

// libmilter takes a specification without a colon, or with nothing before it, for a path.
std::string unixPathOf(const std::string& spec) {
  for (const std::string_view scheme : {"unix:", "local:", ":"}) {
    if (startsWith(spec, scheme)) return spec.substr(scheme.size());
  }
  return spec.find(':') == std::string::npos ? spec : "";
}

std::optional<int> inheritedDescriptorOf(const std::string& spec) {
  constexpr std::string_view kScheme = "fd:";
  if (!startsWith(spec, kScheme)) return std::nullopt;
  const auto fd = parseNumber(spec.substr(kScheme.size()));
  return fd ? static_cast<int>(*fd) : -1;
}

std::optional<InetSpec> inetSpecOf(const std::string& spec) {
  const bool v6 = startsWith(spec, "inet6:");
  if (!v6 && !startsWith(spec, "inet:")) return std::nullopt;
  InetSpec found{v6 ? AF_INET6 : AF_INET, "", spec.substr(spec.find(':') + 1)};
  if (const size_t at = found.port.find('@'); at != std::string::npos) {
    found.host = found.port.substr(at + 1);
    found.port.resize(at);
  }
  if (found.host.size() > 1 && found.host.front() == '[' && found.host.back() == ']') {
    found.host = found.host.substr(1, found.host.size() - 2);
  }
  return found;
}

std::optional<unsigned> parseNumber(const std::string& text) {
  unsigned value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end || value == std::numeric_limits<unsigned>::max()) {
    return std::nullopt;
  }
  return value;
}

}  // namespace milter
