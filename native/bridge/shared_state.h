// What all sessions of the process share. Never freed (R7).
#pragma once

#include "bridge/buffered_bytes.h"
#include "bridge/dispatcher.h"
#include "bridge/in_flight.h"
#include "bridge/interruption_counts.h"
#include "bridge/settings.h"

namespace milter {

struct SharedState {
  Settings settings;
  BufferedBytes bufferedBytes;
  InFlight inFlight;
  InterruptionCounts interruptions;
  Dispatcher dispatcher;
};

}  // namespace milter
