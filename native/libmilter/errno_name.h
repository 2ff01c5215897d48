// The names of the errors that can occur when a socket is opened, as in Node's error.code.
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
    case EMFILE:
      return "EMFILE";
    case ENFILE:
      return "ENFILE";
    default:
      return "ERR_MILTER_OPEN_SOCKET";
  }
}

}  // namespace milter
