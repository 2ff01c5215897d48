// An addon that does wrong on purpose, one way per function. A sanitizer run loads it first: reports must
// appear, or the run's silence about tsmilter.node would prove nothing (a preload that did not take, a
// swallowed log).
#include <node_api.h>

#include <cstdlib>
#include <thread>

namespace {

// Leaves 1,000 bytes that nothing points to.
napi_value Leak(napi_env, napi_callback_info) {
  volatile char* lost = new char[1000];
  lost[0] = 1;
  lost = nullptr;
  return nullptr;
}

// Reads memory that has been given back.
napi_value UseAfterFree(napi_env, napi_callback_info) {
  volatile char* gone = new char[16];
  delete[] gone;
  gone[3] = 1;
  return nullptr;
}

// Overflows a signed number.
napi_value Overflow(napi_env, napi_callback_info) {
  volatile int number = 0x7fffffff;
  number = number + 1;
  return nullptr;
}

// Writes one number from two threads. More than once, because accesses in the same instant can go unseen.
napi_value Race(napi_env, napi_callback_info) {
  static int number = 0;
  for (int round = 0; round < 20; round++) {
    std::thread other([] { number++; });
    number++;
    other.join();
  }
  return nullptr;
}

napi_value Init(napi_env env, napi_value exports) {
  const napi_property_descriptor functions[] = {
      {"leak", nullptr, Leak, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"useAfterFree", nullptr, UseAfterFree, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"overflow", nullptr, Overflow, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
      {"race", nullptr, Race, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
  };
  napi_define_properties(env, exports, sizeof functions / sizeof functions[0], functions);
  return exports;
}

}  // namespace

NAPI_MODULE(canary, Init)
