// Gets a thread for sessions that libmilter's thread pool leaves without one.
//
// libmilter's controller leaves a session that has data to an idle worker as long as it counts one, and that
// count lags: of sessions that become ready at the same instant, a few workers get more than they can take,
// and the rest wait until one of those workers is free, however long its handler takes (mi_pool_controller
// and mi_worker in worker.c of libmilter 8.17). A new connection while no worker is idle starts a worker,
// which handles the connection and then takes a waiting session. So a connection that ends at once
// (Listener::wakeListener) provides a thread for such a session.
//
// This is done only while none of our callbacks begins or ends, and either one of them waits, or a connection
// has bytes that libmilter does not read: peers that have stopped in the middle of a frame hold libmilter's
// threads where no callback shows it. It does no harm to a libmilter without a pool.
#pragma once

#include <atomic>

#include "bridge/in_flight.h"
#include "libmilter/listener.h"
#include "libmilter/thread_room.h"

namespace milter {

class PoolStarvationWatchdog {
 public:
  PoolStarvationWatchdog(InFlight& inFlight, Listener& listener, ThreadRoom& threadRoom)
      : inFlight_(inFlight), listener_(listener), threadRoom_(threadRoom) {}
  PoolStarvationWatchdog(const PoolStarvationWatchdog&) = delete;
  PoolStarvationWatchdog& operator=(const PoolStarvationWatchdog&) = delete;

  // Runs until libmilter has ended. Sleeps while handlers answer quickly.
  void run();
  // libmilter has ended, and nothing can be done for its sessions any more. Any thread.
  void retire() { retired_ = true; }

 private:
  void watch();
  bool sessionsMayWait() const;

  InFlight& inFlight_;
  Listener& listener_;
  ThreadRoom& threadRoom_;
  std::atomic<bool> retired_{false};
};

}  // namespace milter
