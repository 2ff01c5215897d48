// What the binding asks of libmilter for the whole process. native/libmilter/runtime.cc implements it; this
// interface keeps libmilter's headers out of the binding.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bridge/protocol.h"
#include "bridge/shared_state.h"

namespace milter {

struct OpenOptions {
  bool removeStale = true;
  std::optional<mode_t> mode;
  std::optional<std::string> owner;  // a name or a number
  std::optional<std::string> group;  // a name or a number
};

// Why a socket could not be opened: the name of an error number or a code of ours (lib/internal/errors.ts),
// and the path, specification or option that it is about.
struct OpenFailure {
  std::string code;
  std::string about;
};

struct Constant {
  const char* name;
  int64_t value;
};

struct Version {
  unsigned major;
  unsigned minor;
  unsigned patchlevel;
};

class Process {
 public:
  virtual ~Process() = default;
  // The only instance, which is never destroyed (R7).
  static Process& get();

  // --- any thread, never blocks
  virtual Version version() const = 0;
  virtual std::vector<Constant> constants() const = 0;
  virtual SharedState& sharedState() = 0;
  virtual bool isRunning() const = 0;

  // --- any thread, never blocks
  // Makes `owner`, a JS environment, the one that may call the functions below; any other result than `ready`
  // says why it may not. It stays so until release(), whatever it has done.
  virtual StartResult claim(const void* owner) = 0;
  // Lets another environment start a filter. Without effect if `owner` has not claimed.
  virtual void release(const void* owner) = 0;

  // --- the JS thread that has claimed, before the start
  virtual bool registerFilter(const std::string& name, unsigned long actions) = 0;
  virtual bool setTimeout(int seconds) = 0;
  virtual bool setBacklog(int connections) = 0;
  virtual bool setDebug(int level) = 0;
  virtual size_t setMaxDataSize(size_t bytes) = 0;
  virtual size_t maxDataSize() const = 0;
  virtual std::optional<OpenFailure> openSocket(const std::string& spec, const OpenOptions& options) = 0;
  // The bound TCP port, 0 for other sockets: `inet:0@host` lets the system choose one.
  virtual int port() const = 0;

  // Reserves the process's only run for the caller. After `ready` the caller must start() or cancel(); any
  // other result changes nothing.
  virtual StartResult reserve() = 0;
  virtual void cancel() = 0;
  // Runs smfi_main on a thread of its own. The queue `primary`, which has been added to the dispatcher, gets
  // the message `ready` once libmilter serves. All queues get `stopped` when it has ended, or at once if the
  // system has no threads for it.
  virtual void start(std::shared_ptr<MessageQueue> primary) = 0;

  // --- any thread
  // Begins to stop and returns (R3). Sessions in a mail transaction may finish it within `drain`; a later
  // call can only shorten that.
  virtual void stop(std::chrono::milliseconds drain) = 0;
};

}  // namespace milter
