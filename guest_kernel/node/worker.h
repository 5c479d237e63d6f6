// The kernel's second thread: it works on tori while the first one looks after links and deadlines. Any interrupt gives the
// processor back to the first, so that a life sign never waits for an epoch.
// Threads: the calls are the first thread's. Memory: a stack, and the jobs. Errors: no memory for the stack.
// Invariant: the first thread is never interrupted by the second; the second is, anywhere, so both share nothing but the jobs.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "guest_kernel/arch/x86_64/interrupts.h"
#include "torus/braid/braid_node.h"

namespace rse::kernel {

class Worker {
 public:
  struct Done {
    TorusId torus;
    RunEpoch::Kind kind{};
    const TorusMachine* machine = nullptr;  // idle until the braid hears of it; none for kHashCut
  };
  /// False: there is no memory for its stack. One worker in the life of the kernel.
  bool start();
  /// Tori come first; cuts are hashed when nothing else is to be done.
  void submit(RunEpoch work);
  std::optional<Done> take_done();
  bool busy() const { return busy_ || !tori_.empty() || !hashes_.empty(); }
  bool has_done() const { return !done_.empty(); }

  /// Works until an interrupt or until nothing is left. Called with interrupts off; they are off again afterwards.
  void run_until_interrupt();
  /// For handlers of interrupts that the first thread should hear of at once.
  void give_back(Frame& frame);

 private:
  static void on_switch(Frame& frame, void* self);
  static void begin(Worker* self);
  std::optional<RunEpoch> next();
  void finish(const Done& done);

  std::deque<RunEpoch> tori_, hashes_;
  std::deque<Done> done_;
  bool busy_ = false;      // a job is in the worker's hands
  bool running_ = false;   // the processor is the worker's
  bool begun_ = false;
  std::uint64_t stack_ = 0;
  Frame first_{}, second_{};  // where each thread goes on
};

}  // namespace rse::kernel
