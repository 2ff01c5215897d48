// The names of the errors that opening a socket can meet, as Node.js spells them in error.code.
#pragma once

#include <cerrno>
#include <string>

namespace milter {

inline std::string errnoName(int error) {
  switch (error) {
    case EACCES:
      return "EACCES";
    case EROFS:
      return "EROFS";
    case EPERM:
      return "EPERM";
    case EADDRINUSE:
      return "EADDRINUSE";
    case EADDRNOTAVAIL:
      return "EADDRNOTAVAIL";
    case ENOENT:
      return "ENOENT";
    case ENOTDIR:
      return "ENOTDIR";
    case ENOTSOCK:
      return "ENOTSOCK";
    case ENAMETOOLONG:
      return "ENAMETOOLONG";
    default:
      return "ERR_MILTER_OPEN_SOCKET";
  }
}

}  // namespace milter
