// Owner, group and mode of a unix socket's file.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "bridge/process.h"
#include "libmilter/unix_socket_file.h"

namespace milter {

class SocketPermissions {
 public:
  // Finds the ids, and checks whether chown() to them would be allowed. This is asked before the socket
  // exists, because libmilter cannot close one again.
  std::optional<OpenFailure> resolve(const OpenOptions& options);

  // Whether anything was asked for.
  bool requested() const { return mode_ || owner_ || group_; }

  // Gives the file the owner, group and mode asked for. The mode comes last: until then only the
  // process's user may connect.
  std::optional<OpenFailure> apply(const UnixSocketFile& file) const;

 private:
  std::optional<mode_t> mode_;
  std::optional<uid_t> owner_;
  std::optional<gid_t> group_;
};

}  // namespace milter
