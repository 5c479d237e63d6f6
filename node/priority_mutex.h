// A mutex and a condition for threads of unequal urgency: whoever holds the mutex runs as urgently as the most urgent that waits
// for it. Under a std::mutex a real-time thread would wait for an ordinary one that was preempted while it held it, and thereby
// for every program on the machine: tens of milliseconds of silence, where the thread sends heartbeats.
// Source: pthread_mutexattr_setprotocol(3), PTHREAD_PRIO_INHERIT. Threads: any. Errors: none.
#pragma once

#include <pthread.h>

#include <mutex>

namespace rse {

class PriorityMutex {
 public:
  PriorityMutex() {
    pthread_mutexattr_t attributes;
    ::pthread_mutexattr_init(&attributes);
    ::pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
    ::pthread_mutex_init(&mutex_, &attributes);
    ::pthread_mutexattr_destroy(&attributes);
  }
  ~PriorityMutex() { ::pthread_mutex_destroy(&mutex_); }
  PriorityMutex(const PriorityMutex&) = delete;
  PriorityMutex& operator=(const PriorityMutex&) = delete;

  void lock() { ::pthread_mutex_lock(&mutex_); }
  void unlock() { ::pthread_mutex_unlock(&mutex_); }
  pthread_mutex_t* native_handle() { return &mutex_; }

 private:
  pthread_mutex_t mutex_;
};

class PriorityCondition {
 public:
  PriorityCondition() = default;
  ~PriorityCondition() { ::pthread_cond_destroy(&condition_); }
  PriorityCondition(const PriorityCondition&) = delete;
  PriorityCondition& operator=(const PriorityCondition&) = delete;

  void notify_one() { ::pthread_cond_signal(&condition_); }
  template <class F>
  void wait(std::unique_lock<PriorityMutex>& lock, F until) {
    while (!until()) ::pthread_cond_wait(&condition_, lock.mutex()->native_handle());
  }

 private:
  pthread_cond_t condition_ = PTHREAD_COND_INITIALIZER;
};

}  // namespace rse
