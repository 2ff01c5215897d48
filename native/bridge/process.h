// What the binding asks of libmilter for the whole process. Implemented in native/libmilter/runtime.cc; this
// face keeps libmilter's headers out of the binding.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bridge/dispatcher.h"
#include "bridge/in_flight.h"
#include "bridge/settings.h"

namespace milter {

// What all sessions of the process share. Never freed (R7).
struct SharedState {
  Settings settings;
  InFlight inFlight;
  Dispatcher dispatcher;
};

struct OpenOptions {
  bool removeStale = true;
  std::optional<mode_t> mode;
  std::optional<std::string> owner;  // name or number, as the next
  std::optional<std::string> group;
};

// Why a socket could not be opened: a word of errno's, or ours (see lib/internal/errors.ts), and what it is
// about.
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
  // What reserve() found. The order is known to lib/addon/native.ts.
  enum class StartResult : uint8_t { ready, inUse, alreadyRun, notRegistered };

  virtual ~Process() = default;
  // The process's only one; never destroyed (R7).
  static Process& get();

  // --- any thread, never blocks
  virtual Version version() const = 0;
  virtual std::vector<Constant> constants() const = 0;
  virtual SharedState& shared() = 0;
  virtual bool isRunning() const = 0;
  virtual bool hasEnded() const = 0;

  // --- before the start, one JS thread
  virtual bool registerFilter(const std::string& name, unsigned long actions) = 0;
  virtual bool setTimeout(int seconds) = 0;
  virtual bool setBacklog(int connections) = 0;
  virtual bool setDebug(int level) = 0;
  virtual size_t setMaxDataSize(size_t bytes) = 0;
  virtual std::optional<OpenFailure> openSocket(const std::string& spec, const OpenOptions& options) = 0;
  // The bound TCP port (0 for other sockets): `inet:0@host` lets the system choose one.
  virtual int port() const = 0;

  // Takes the process's one run for the caller, who must then start(); all but `ready` change nothing.
  virtual StartResult reserve() = 0;
  // Gives back what reserve() took, where there will be no start().
  virtual void cancel() = 0;
  // Runs smfi_main on a thread of its own. `lead`, who has joined the house's roster, is told when it serves;
  // all who have joined are told when it has ended, or that there are not the threads for it.
  virtual void start(std::shared_ptr<MessageQueue> primary) = 0;

  // --- any thread
  // Begins to stop, and returns (R3). Sessions in a message may finish it within `drain`, which a later call
  // can only shorten.
  virtual void stop(std::chrono::milliseconds drain) = 0;
};

}  // namespace milter
