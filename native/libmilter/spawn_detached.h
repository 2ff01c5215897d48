// Threads that nobody waits for (R7).
#pragma once

#include <system_error>
#include <thread>
#include <utility>

namespace milter {

// Runs `work` on a thread of its own. False where there is none to be had (EAGAIN).
template <class Work>
bool spawnDetached(Work&& work) {
  try {
    std::thread(std::forward<Work>(work)).detach();
    return true;
  } catch (const std::system_error&) {
    return false;
  }
}

}  // namespace milter
