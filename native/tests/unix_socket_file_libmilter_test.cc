// A unix socket's file is replaced at each point of its opening: what takes its place keeps owner and mode.
#include "libmilter/unix_socket_file.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <functional>

#include "check.h"

using namespace milter;
using namespace milter::test;

namespace {

std::string directory;
std::string path;
std::string victim;

mode_t modeOf(const std::string& name) {
  struct stat file = {};
  CHECK(lstat(name.c_str(), &file) == 0);
  return file.st_mode & 0777;
}

void makeSocket() {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  const auto address = SocketAddress::ofUnixPath(path);
  CHECK(::bind(fd, address.get(), address.length()) == 0 && ::listen(fd, 1) == 0);
  CHECK(chmod(path.c_str(), 0600) == 0);
}

using Swap = std::function<void()>;

void bySymbolicLink() { CHECK(unlink(path.c_str()) == 0 && symlink(victim.c_str(), path.c_str()) == 0); }
void bySecondName() { CHECK(unlink(path.c_str()) == 0 && link(victim.c_str(), path.c_str()) == 0); }
void byFile() { CHECK(unlink(path.c_str()) == 0 && rename(victim.c_str(), path.c_str()) == 0); }
void byNothing() { CHECK(unlink(path.c_str()) == 0); }

void makeVictim() {
  unlink(path.c_str());
  unlink(victim.c_str());
  const int fd = ::open(victim.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  CHECK(fd >= 0);
  ::close(fd);
}

void changesTheSocket() {
  makeVictim();
  makeSocket();
  UnixSocketFile file(path);
  CHECK(!file.adopt());
  CHECK(!file.changeOwner(geteuid(), getegid()) && !file.changeMode(0660));
  CHECK(modeOf(path) == 0660 && file.isOwn());
  file.removeIfOwn();
  CHECK(access(path.c_str(), F_OK) != 0);
}

void noticesWhatWasSwappedBefore(const Swap& swap) {
  makeVictim();
  makeSocket();
  UnixSocketFile file(path);
  swap();
  const auto failure = file.adopt();
  CHECK(failure && failure->code == "ERR_MILTER_SOCKET_REPLACED" && failure->about == path);
  CHECK(!file.isOwn());
}

void leavesWhatIsSwappedAfterwards(const Swap& swap) {
  makeVictim();
  makeSocket();
  UnixSocketFile file(path);
  CHECK(!file.adopt());
  swap();
  CHECK(!file.changeOwner(geteuid(), getegid()) && !file.changeMode(0666));
  // `path` leads to the other file now, if it leads anywhere.
  struct stat there = {};
  const bool exists = stat(path.c_str(), &there) == 0;
  CHECK(!exists || (there.st_mode & 0777) == 0600);
  CHECK(!file.isOwn());
  file.removeIfOwn();
  CHECK((access(path.c_str(), F_OK) == 0) == exists);
}

void keepsItsPathWhateverTheDirectory() {
  CHECK(chdir(directory.c_str()) == 0);
  const UnixSocketFile relative("sock");
  CHECK(relative.path() == directory + "/sock" && relative.addressPath() == relative.path());
  const std::string deep(120, 'd');
  CHECK(mkdir(deep.c_str(), 0700) == 0 && chdir(deep.c_str()) == 0);
  const UnixSocketFile tooLong("sock");
  CHECK(tooLong.path() == directory + "/" + deep + "/sock" && tooLong.addressPath() == "sock");
  CHECK(chdir("..") == 0 && rmdir(deep.c_str()) == 0 && chdir("/") == 0);
}

}  // namespace

int main() {
  char name[] = "/tmp/milter-test-XXXXXX";
  CHECK(mkdtemp(name) != nullptr);
  directory = name;
  path = directory + "/sock";
  victim = directory + "/victim";
  changesTheSocket();
  for (const Swap& swap : {Swap(bySymbolicLink), Swap(bySecondName), Swap(byFile), Swap(byNothing)}) {
    noticesWhatWasSwappedBefore(swap);
    leavesWhatIsSwappedAfterwards(swap);
  }
  keepsItsPathWhateverTheDirectory();
  unlink(path.c_str());
  unlink(victim.c_str());
  rmdir(name);
}
