#include "libmilter/socket_permissions.h"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "libmilter/open_diagnosis.h"
#include "libmilter/socket_spec.h"

namespace milter {
namespace {

std::optional<uid_t> userId(const std::string& name) {
  if (const auto id = parseNumber(name)) return *id;
  std::vector<char> buffer(16384);
  passwd entry{};
  passwd* found = nullptr;
  getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
  return found ? std::optional<uid_t>(found->pw_uid) : std::nullopt;
}

std::optional<gid_t> groupId(const std::string& name) {
  if (const auto id = parseNumber(name)) return *id;
  std::vector<char> buffer(65536);
  group entry{};
  group* found = nullptr;
  getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
  return found ? std::optional<gid_t>(found->gr_gid) : std::nullopt;
}

bool isOwnGroup(gid_t group) {
  if (group == getegid()) return true;
  std::vector<gid_t> groups(static_cast<size_t>(std::max(getgroups(0, nullptr), 0)));
  const int count = getgroups(static_cast<int>(groups.size()), groups.data());
  const auto end = groups.begin() + std::max(count, 0);
  return std::find(groups.begin(), end, group) != end;
}

}  // namespace

std::optional<OpenFailure> SocketPermissions::resolve(const OpenOptions& options) {
  const bool isRoot = geteuid() == 0;
  mode_ = options.mode;
  if (options.owner) {
    const auto id = userId(*options.owner);
    if (!id) return OpenFailure{"ERR_MILTER_UNKNOWN_ACCOUNT", "owner " + *options.owner};
    if (!isRoot && *id != geteuid()) return OpenFailure{"EPERM", "owner " + *options.owner};
    owner_ = *id;
  }
  if (options.group) {
    const auto id = groupId(*options.group);
    if (!id) return OpenFailure{"ERR_MILTER_UNKNOWN_ACCOUNT", "group " + *options.group};
    if (!isRoot && !isOwnGroup(*id)) return OpenFailure{"EPERM", "group " + *options.group};
    group_ = *id;
  }
  return std::nullopt;
}

std::optional<OpenFailure> SocketPermissions::apply(const UnixSocketFile& file) const {
  if (owner_ || group_) {
    if (auto failure = file.changeOwner(owner_, group_)) return failure;
  }
  // libmilter's documentation recommends this where only an owner or a group is given.
  constexpr mode_t kGroupMayConnect = 0660;
  return file.changeMode(mode_.value_or(kGroupMayConnect));
}

}  // namespace milter
