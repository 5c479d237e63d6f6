// Daemons of one cluster as child processes on this machine: for the launcher, the failover benchmark and the tests.
// Threads: start, kill and restart on one thread, which has to outlive the children (they die with it). Memory: small.
// Errors: a sentence. Invariant: no process and, unless it is to be kept, no directory is left behind, however this process
// ends: children are killed with their parent, and a guardian process removes the directory when the parent is gone.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "node/control_client.h"

namespace rse {

class LocalCluster {
 public:
  struct Options {
    std::string binary{};                   // of rse-node
    std::string directory{};                // empty: a temporary one, removed at the end
    std::vector<std::string> names{"a", "b", "c"};
    std::vector<std::string> flags{};       // more of them, for every node; with --insecure nobody needs a ticket
    /// "tcp", "ivshmem", "udp", or "mixed": a and b meet in shared memory, b and c over UDP, c and a over TCP.
    std::string transport = "tcp";
    std::vector<std::string> addresses{};   // HOST:PORT of each node; empty: free ports of 127.0.0.1
    std::function<bool(std::size_t)> enter{};  // in the child, before rse-node starts: puts it on a host of its own
    std::chrono::seconds start_limit{30};
  };
  explicit LocalCluster(Options options);
  ~LocalCluster();
  LocalCluster(const LocalCluster&) = delete;
  LocalCluster& operator=(const LocalCluster&) = delete;

  /// Founds the cluster with the first node, joins the others, waits until each hosts a torus and the verdict is healthy.
  /// Over a kept directory: starts all nodes with what they have. Empty: done; otherwise what went wrong.
  std::string start();
  /// SIGKILL. Returns the time just before it (CLOCK_MONOTONIC), nanoseconds.
  std::uint64_t kill(std::size_t node);
  /// SIGTERM, and waits; the exit code, -1 when it had to be killed.
  int terminate(std::size_t node);
  /// Starts a node that was killed or has ended. Empty: the process runs and answers.
  std::string restart(std::size_t node);
  bool running(std::size_t node);
  void stop();

  std::size_t size() const { return nodes_.size(); }
  const std::string& name(std::size_t node) const { return nodes_[node].name; }
  std::optional<std::size_t> find(const std::string& name) const;
  const std::string& control(std::size_t node) const { return nodes_[node].control; }
  /// What the node listens on and others dial.
  const std::string& address(std::size_t node) const { return nodes_[node].address; }
  std::string log(std::size_t node) const { return nodes_[node].directory + ".log"; }
  pid_t process(std::size_t node) const { return nodes_[node].process; }
  std::vector<std::string> controls() const;          // of all
  std::vector<std::string> running_controls();        // of those that run
  const std::string& directory() const { return directory_; }

  /// Polls until `wanted` holds for a node that answers; the last status, nullopt when time is up.
  template <class F>
  std::optional<v1::StatusReply> wait_for(F wanted, std::chrono::milliseconds limit);
  /// The status of the first node that answers.
  std::optional<v1::StatusReply> status();
  std::optional<v1::StatusReply> status_of(std::size_t node);

 private:
  struct Node {
    std::string name;
    std::string directory;
    std::string control;
    std::vector<std::string> listen, advertise;
    std::string address;  // the first of them
    pid_t process = -1;
    std::unique_ptr<ControlClient> client;
  };
  void choose_addresses(Node& node, std::size_t index) const;
  std::string launch(Node& node, const std::vector<std::string>& flags);
  std::string take_ticket();
  std::string wait_until_answers(Node& node);
  std::string last_words(const Node& node) const;
  std::string memory_path() const;
  void start_guardian();

  Options options_;
  std::string directory_;
  bool temporary_ = false;
  std::string ticket_;  // in the environment of those that join: command lines are for everyone to see
  int guardian_pipe_ = -1;
  pid_t guardian_ = -1;
  std::vector<Node> nodes_;
};

/// A port of 127.0.0.1 that was free a moment ago.
std::uint16_t free_port();
/// The rse-node to start: $RSE_NODE_BINARY, else among this program's runfiles, else beside this program.
std::string find_binary(const std::string& name);
void wait_a_little();

template <class F>
std::optional<v1::StatusReply> LocalCluster::wait_for(F wanted, std::chrono::milliseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  for (;;) {
    for (std::size_t node = 0; node < nodes_.size(); ++node) {
      std::optional<v1::StatusReply> status = status_of(node);
      if (status && wanted(*status)) return status;
    }
    if (std::chrono::steady_clock::now() > end) return std::nullopt;
    wait_a_little();
  }
}

}  // namespace rse
