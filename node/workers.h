// One thread for each torus hosted here, so that a busy torus never delays the network. Work goes in and out through
// double-buffered slots between exactly one writer and one reader each: no lock is taken on the way of an epoch.
// Threads: submit() and the callback on the loop's; execute() on the torus's. Memory: two slots each way a torus.
// A torus that is taken over goes before everything but the loop until its first epoch is run: others stand still for it.
// Errors: none. Invariant: a machine is touched by its worker from submit() to the callback, and by nobody else.
#pragma once

#include <array>
#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <thread>

#include "torus/braid/braid_node.h"

namespace rse {

/// Two slots: the reader works on one while the writer fills the other. wait() sleeps in a futex after a short spin.
template <class T>
class DoubleSlot {
 public:
  /// False: both slots are full.
  bool push(T& value) {
    const std::uint32_t written = written_.load(std::memory_order_relaxed);
    if (written - taken_.load(std::memory_order_acquire) == slots_.size()) return false;
    slots_[written % slots_.size()] = std::move(value);
    written_.store(written + 1, std::memory_order_release);
    written_.notify_one();  // no system call unless the reader sleeps
    return true;
  }
  std::optional<T> pop() {
    const std::uint32_t taken = taken_.load(std::memory_order_relaxed);
    if (written_.load(std::memory_order_acquire) == taken) return std::nullopt;
    std::optional<T> value = std::move(slots_[taken % slots_.size()]);
    slots_[taken % slots_.size()].reset();
    taken_.store(taken + 1, std::memory_order_release);
    return value;
  }
  /// Returns once something was written, at once if there is something.
  void wait() const {
    written_.wait(taken_.load(std::memory_order_relaxed), std::memory_order_acquire);
  }

 private:
  std::array<std::optional<T>, 2> slots_;
  alignas(64) std::atomic<std::uint32_t> written_{0};
  alignas(64) std::atomic<std::uint32_t> taken_{0};
};

/// The digest of a torus's whole state at an epoch boundary: cut `cut`.
struct StateDigest {
  RunId run;
  CutNumber cut = 0;  // number of epochs before it, that is the next epoch to run
  Digest256 digest;
};

class Workers {
 public:
  struct Done {
    TorusId torus;
    RunEpoch::Kind kind{};
    const TorusMachine* machine = nullptr;  // idle until on_epoch_done() is called; none for kHashCut
    std::optional<StateDigest> state;       // when submit() asked for it
  };
  Workers(asio::io_context& loop, std::function<void(const Done&)> on_done);
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  /// `with_state`, of a kRun only: hashes the whole state before the epoch is run; the torus pauses for that, the node does not.
  void submit(RunEpoch work, bool with_state);
  /// Waits for what is running; the callback is not called any more.
  void stop();

 private:
  struct Job {
    RunEpoch work;
    bool with_state = false;
    bool urgent = false;
    bool quit = false;
  };
  struct Worker {
    DoubleSlot<Job> jobs;
    DoubleSlot<Done> results;
    bool takes_over = false;  // until the first epoch after what it restores and replays
    std::deque<Job> backlog;  // beyond the slots; empty while the braid runs one epoch at a time
    std::thread thread;
  };
  void run(Worker& worker);
  void listen();
  void drain();

  asio::posix::stream_descriptor wake_;  // an eventfd, written by workers
  std::atomic<bool> woken_{false};       // one write until the loop has drained
  std::function<void(const Done&)> on_done_;
  std::array<std::unique_ptr<Worker>, kTorusCount + 1> workers_;  // the last one hashes cuts, beside the tori
  bool stopped_ = false;
};

}  // namespace rse
