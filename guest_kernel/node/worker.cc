#include "guest_kernel/node/worker.h"

#include <utility>

#include "guest_kernel/arch/x86_64/cpu.h"
#include "guest_kernel/memory/kernel_memory.h"

namespace rse::kernel {
namespace {

constexpr std::size_t kWorkerStackBytes = 256u << 10;
constexpr std::uint64_t kInterruptsOnFlag = 0x202;  // with the bit that is always 1

/// Saves all registers where the other thread's are taken from (Worker::on_switch).
void switch_threads() { asm volatile("int %0" : : "i"(kSwitchVector) : "memory"); }

}  // namespace

bool Worker::start() {
  stack_ = make_stack(kWorkerStackBytes);
  set_interrupt(kSwitchVector, on_switch, this);
  return stack_ != 0;
}

void Worker::submit(RunEpoch work) {
  (work.kind == RunEpoch::Kind::kHashCut ? hashes_ : tori_).push_back(std::move(work));
}

std::optional<Worker::Done> Worker::take_done() {
  if (done_.empty()) return std::nullopt;
  const Done done = done_.front();
  done_.pop_front();
  return done;
}

void Worker::run_until_interrupt() { switch_threads(); }

void Worker::give_back(Frame& frame) {
  if (running_) on_switch(frame, this);
}

void Worker::on_switch(Frame& frame, void* context) {
  Worker& self = *static_cast<Worker*>(context);
  self.running_ = !self.running_;
  if (!self.running_) {
    self.second_ = frame;
    frame = self.first_;
    return;
  }
  self.first_ = frame;
  if (std::exchange(self.begun_, true)) {
    frame = self.second_;
    return;
  }
  frame.rip = reinterpret_cast<std::uint64_t>(&Worker::begin);
  frame.rdi = reinterpret_cast<std::uint64_t>(&self);
  frame.rsp = self.stack_ - 8;  // as if called
  frame.rbp = 0;
  frame.flags = kInterruptsOnFlag;
}

void Worker::begin(Worker* self) {
  for (;;) {
    while (std::optional<RunEpoch> work = self->next()) {
      const Done done{work->torus, work->kind, work->machine};
      execute(*work);
      work.reset();
      self->finish(done);
    }
    disable_interrupts();
    switch_threads();
    enable_interrupts();
  }
}

std::optional<RunEpoch> Worker::next() {
  const InterruptsOff off;
  std::deque<RunEpoch>& from = tori_.empty() ? hashes_ : tori_;
  if (from.empty()) return std::nullopt;
  std::optional<RunEpoch> work = std::move(from.front());
  from.pop_front();
  busy_ = true;
  return work;
}

void Worker::finish(const Done& done) {
  const InterruptsOff off;
  busy_ = false;
  done_.push_back(done);
  switch_threads();  // the first thread may have more for us by then
}

}  // namespace rse::kernel
