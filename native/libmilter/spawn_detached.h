// Threads that run until the process ends, so that nothing joins them (R7).
#pragma once

#include <exception>
#include <thread>
#include <utility>

namespace milter {

// Runs `work` on a thread of its own. False if the system has no thread (EAGAIN) or no memory left.
template <class Work>
bool spawnDetached(Work&& work) {
  try {
    std::thread(std::forward<Work>(work)).detach();
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

}  // namespace milter
