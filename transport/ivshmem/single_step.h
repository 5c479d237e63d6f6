// Runs a function one machine instruction at a time (the processor's trap flag) and calls back after each: a test sees the
// memory as another core would if the function's process died right there. x86-64 stores become visible in program order,
// so these are all the states there are.
// Threads: one at a time. The callback runs in a signal handler between two instructions of the function, so the function must
// not be inside the allocator or anything else that the callback uses.
#pragma once

#include <x86intrin.h>

#include <csignal>
#include <functional>

namespace rse::testing {

namespace single_step_detail {
inline const std::function<void()>* g_on_step = nullptr;
}

inline void single_step(const std::function<void()>& function, const std::function<void()>& on_step) {
  single_step_detail::g_on_step = &on_step;
  struct sigaction action {}, before {};
  action.sa_handler = [](int) { (*single_step_detail::g_on_step)(); };
  ::sigaction(SIGTRAP, &action, &before);
  constexpr unsigned long long kTrapFlag = 0x100;
  __writeeflags(__readeflags() | kTrapFlag);
  function();
  __writeeflags(__readeflags() & ~kTrapFlag);
  ::sigaction(SIGTRAP, &before, nullptr);
}

}  // namespace rse::testing
