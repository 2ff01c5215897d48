// Why a socket could not be opened. smfi_opensocket reports that to syslog only.
#pragma once

#include <string>

#include "bridge/process.h"
#include "libmilter/socket_address.h"

namespace milter {

// A failure named by an error number, `about` a path, a specification or an option.
OpenFailure fromErrno(int error, const std::string& about);

// What libmilter's failure to listen on `address` was about: does the same once more, and looks at the error.
OpenFailure diagnoseOpenFailure(const SocketAddress& address, const std::string& about);

}  // namespace milter
