// Finds threads for the sessions that libmilter's pool leaves without one.
//
// libmilter's controller gives a session that has data to an idle worker as long as it counts one, and the
// count lags: of sessions that become ready in one instant, more are given to a few workers than those can
// take, and the rest wait until one of those is free again, however long its handler takes
// (mi_pool_controller and mi_worker in libmilter 8.17's worker.c). A new connection while no worker is idle
// starts one, which serves the connection and then takes a waiting session: so a connection that ends at once
// (Listener::kick) is a thread for such a session.
//
// That is done only while callbacks wait and none begins or ends. A libmilter without a pool is not harmed.
#pragma once

#include <atomic>

#include "bridge/in_flight.h"
#include "libmilter/listener.h"

namespace milter {

class PoolStarvationWatchdog {
 public:
  PoolStarvationWatchdog(InFlight& inFlight, const Listener& listener)
      : inFlight_(inFlight), listener_(listener) {}
  PoolStarvationWatchdog(const PoolStarvationWatchdog&) = delete;
  PoolStarvationWatchdog& operator=(const PoolStarvationWatchdog&) = delete;

  // Runs until the process ends (R7), asleep while no handler takes its time.
  [[noreturn]] void run();
  // libmilter has ended: nothing can be done for its sessions any more.
  void retire() { retired_ = true; }

 private:
  void watch();

  InFlight& inFlight_;
  const Listener& listener_;
  std::atomic<bool> retired_{false};
};

}  // namespace milter
