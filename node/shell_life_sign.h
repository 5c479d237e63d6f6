// Evidence of death between processes of one machine: each daemon holds a robust mutex in shared memory for as long as it
// lives; a watcher that gets the mutex knows that the holder's process has gone. The kernel hands it over at the start of
// the process's exit, before it frees memory and closes sockets, which can take tens of milliseconds.
// Files: /dev/shm/rse-UID-NODE-INCARNATION, 0600. A peer that has none there is on another machine, or older: then nothing
// is watched, and the network's evidence has to do.
// Threads: hold() on the thread that lives longest (the loop's); one sleeping thread for each watched life. Memory: a page
// each. Errors: none; this is only ever faster, never needed.
#pragma once

#include <asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "torus/base/strong.h"

namespace rse {

class LifeSign {
 public:
  /// `on_death` comes on the loop, once a watched life.
  LifeSign(asio::io_context& loop, std::function<void(NodeId node, std::uint64_t incarnation)> on_death);
  ~LifeSign();
  LifeSign(const LifeSign&) = delete;
  LifeSign& operator=(const LifeSign&) = delete;

  /// Takes our own mutex; it is given back by the kernel when this process ends, however it ends.
  void hold(NodeId self, std::uint64_t incarnation);
  /// Watches a peer's life if it is on this machine; a life that is watched already is not watched twice. false: it is not here.
  bool watch(NodeId node, std::uint64_t incarnation);
  /// No callback after this.
  void stop();

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
  std::map<std::uint64_t, std::uint64_t> watched_;  // node: incarnation
};

}  // namespace rse
