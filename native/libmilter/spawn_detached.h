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

// Whether the system has threads and address space for `count` more threads at the same time. Waits for them,
// which takes some tens of microseconds for each.
inline bool canCreateThreads(int count) noexcept {
  if (count == 0) return true;
  try {
    bool others = false;
    std::thread thread([&others, count] { others = canCreateThreads(count - 1); });
    thread.join();
    return others;
  } catch (const std::exception&) {
    return false;
  }
}

}  // namespace milter
