// A node as a child process of this one: an rse-node, or a QEMU in which our kernel is the node. What launchers and tests do to
// nodes is the same for both, since signals are sent to the process.
// Threads: one, which has to outlive the child (it dies with it). Memory: small. Errors: a sentence.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace rse {

class Machine {
 public:
  struct Command {
    std::vector<std::string> words;  // the program's path and its arguments
    std::string log;                 // stdout and stderr are appended to this file
    std::vector<std::pair<std::string, std::string>> environment{};
    std::function<bool()> enter{};   // in the child, before the program starts: puts it on a host of its own
  };
  Machine() = default;
  ~Machine() { kill(); }
  Machine(Machine&& other) noexcept { *this = std::move(other); }
  Machine& operator=(Machine&& other) noexcept {
    std::swap(process_, other.process_);
    std::swap(paused_, other.paused_);
    return *this;
  }

  std::string start(const Command& command);
  /// SIGKILL. Returns the time just before it (CLOCK_MONOTONIC), nanoseconds.
  std::uint64_t kill();
  /// SIGSTOP and SIGCONT: nothing of it runs, nothing is lost.
  void pause();
  void resume();
  /// SIGTERM, without waiting.
  void ask_to_end();
  /// The exit code; -1 when it had to be killed after `limit`, or did not run.
  int wait_for_end(std::chrono::milliseconds limit);
  /// Likewise, without waiting; nullopt: it runs.
  std::optional<int> take_end();

  bool running();
  bool paused() const { return paused_; }
  /// -1: none.
  pid_t process() const { return process_; }
  /// What it has in memory, shared pages included; 0: it does not run.
  std::uint64_t resident_bytes() const;

 private:
  pid_t process_ = -1;
  bool paused_ = false;
};

void wait_a_little();

}  // namespace rse
