// How urgently a thread runs. A niceness counts only among the processes of a session, so what others wait for is real-time,
// where that is allowed (root, CAP_SYS_NICE or RLIMIT_RTPRIO); elsewhere it stays an ordinary thread, and a busy machine shows.
// Source: sched(7). Threads: any. Errors: none.
#pragma once

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <thread>

namespace rse {

inline constexpr int kLoopPriority = 2;      // heartbeats, votes and evidence of death: microseconds of work
inline constexpr int kTakeOverPriority = 1;  // what a torus that stands still waits for

/// Threads that it starts are ordinary ones.
inline void become_real_time(int priority) {
  const sched_param parameter{.sched_priority = priority};
  ::sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &parameter);
}

inline void make_real_time(std::thread& thread, int priority) {
  const sched_param parameter{.sched_priority = priority};
  ::pthread_setschedparam(thread.native_handle(), SCHED_RR, &parameter);
}

inline void become_ordinary(int niceness) {
  const sched_param none{};
  ::sched_setscheduler(0, SCHED_OTHER, &none);
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), niceness);
}

}  // namespace rse
