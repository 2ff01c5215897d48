// Threads that run until the process ends, so that nothing joins them (R7).
#pragma once

#include <exception>
#include <future>
#include <memory>
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
// which takes some tens of microseconds for each. Nothing joins them either: the process may end meanwhile.
inline bool canCreateThreads(int count) noexcept {
  if (count == 0) return true;
  try {
    const auto others = std::make_shared<std::promise<bool>>();
    std::future<bool> answer = others->get_future();
    std::thread([others, count] { others->set_value(canCreateThreads(count - 1)); }).detach();
    return answer.get();
  } catch (const std::exception&) {
    return false;
  }
}

}  // namespace milter
