// The nodes of one cluster as child processes on this machine, daemons or virtual machines: for the launchers, the failover
// benchmark and the tests.
// Threads: start, kill and restart on one thread, which has to outlive the children (they die with it). Memory: small.
// Errors: a sentence. Invariant: no process and, unless it is to be kept, no directory is left behind, however this process
// ends: children are killed with their parent, and a guardian process removes the directory when the parent is gone.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "node/client_machine.h"
#include "node/control_client.h"

namespace rse {

class LocalCluster {
 public:
  /// The first one founds the cluster, the others join it.
  struct Plan {
    std::string name;
    std::vector<std::string> listen{};  // of a daemon; empty: as Options say
    bool durable = true;                // a daemon with a data directory
    std::vector<std::string> flags{};   // of a daemon, beside the Options'
    bool observer = false;              // a daemon that hosts nothing; asked first, since it is never killed by a script
    /// The command of a virtual machine instead of a daemon. It has no control API: others tell what it does.
    std::function<std::vector<std::string>(bool founds)> guest{};
    std::string kind() const { return guest ? "VM" : observer ? "observer" : "rse-node"; }
  };
  struct Options {
    std::string binary{};                   // of rse-node
    std::string directory{};                // empty: a temporary one, removed at the end
    std::vector<Plan> nodes = {{.name = "a"}, {.name = "b"}, {.name = "c"}};
    std::vector<std::string> flags{};       // more of them, for every daemon; with --insecure nobody needs a ticket
    /// "tcp", "ivshmem", "udp", or "mixed": a and b meet in shared memory, b and c over UDP, c and a over TCP.
    std::string transport = "tcp";
    std::vector<std::string> addresses{};   // HOST:PORT of each node; empty: free ports of 127.0.0.1
    std::function<bool(std::size_t)> enter{};  // in the child, before rse-node starts: puts it on a host of its own
    std::string memory_path{};              // of the shared memory, removed at the end; empty: derived from the directory
    std::function<std::string(const LocalCluster&)> prepare{};  // once directory() is there, before any node starts
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
  /// Starts a node that was killed or has ended. Empty: the process runs and, if it is a daemon, answers.
  std::string restart(std::size_t node);
  void pause(std::size_t node) { nodes_[node].machine.pause(); }
  void resume(std::size_t node) { nodes_[node].machine.resume(); }
  bool running(std::size_t node);
  bool paused(std::size_t node) const { return nodes_[node].machine.paused(); }
  void stop();

  std::size_t size() const { return nodes_.size(); }
  const Plan& plan(std::size_t node) const { return options_.nodes[node]; }
  const std::string& name(std::size_t node) const { return plan(node).name; }
  std::optional<std::size_t> find(const std::string& name) const;
  /// Nodes that may host a torus: all but observers.
  std::size_t host_count() const;
  const std::string& control(std::size_t node) const { return nodes_[node].control; }
  /// What the node listens on and others dial; empty: a guest, which is found in the shared memory.
  const std::string& address(std::size_t node) const { return nodes_[node].address; }
  std::string log(std::size_t node) const { return nodes_[node].directory + ".log"; }
  /// The last `count` lines of its log that are not empty.
  std::vector<std::string> last_words(std::size_t node, std::size_t count) const;
  pid_t process(std::size_t node) const { return nodes_[node].machine.process(); }
  std::uint64_t resident_bytes(std::size_t node) const { return nodes_[node].machine.resident_bytes(); }
  std::vector<std::string> controls() const;          // of all that have one
  std::vector<std::string> running_controls();        // of those that run
  const std::string& directory() const { return directory_; }
  /// Whether nothing is encrypted and nobody needs a ticket.
  bool open() const;
  /// The file of the shared memory.
  std::string memory_path() const;

  /// Polls until `wanted` holds for a node that answers; the last status, nullopt when time is up.
  template <class F>
  std::optional<v1::StatusReply> wait_for(F wanted, std::chrono::milliseconds limit);
  /// The status of an observer, else of the first node that answers.
  std::optional<v1::StatusReply> status();
  std::optional<v1::StatusReply> status_of(std::size_t node);

 private:
  struct Node {
    std::string directory;
    std::string control;
    std::vector<std::string> listen, advertise;
    std::string address;  // the first of them; empty: a guest
    Machine machine;
    std::unique_ptr<ControlClient> client;
  };
  std::string make_directory();
  void add_nodes();
  void choose_addresses(Node& node, std::size_t index) const;
  std::string launch(std::size_t node, bool founds, const std::string& peer);
  std::string take_ticket();
  std::string peer_of(std::size_t node) const;
  std::vector<std::string> daemon_words(std::size_t node, bool founds, const std::string& peer) const;
  std::string wait_until_answers(std::size_t node);
  std::string wait_until_settled();
  void start_guardian();
  std::vector<std::size_t> in_order_of_asking() const;

  Options options_;
  std::string directory_;
  std::string ticket_;  // in the environment of those that join: command lines are for everyone to see
  int guardian_pipe_ = -1;
  pid_t guardian_ = -1;
  std::vector<Node> nodes_;
};

/// A port of 127.0.0.1 that was free a moment ago.
std::uint16_t free_port();
/// The rse-node to start: $RSE_NODE_BINARY, else among this program's runfiles, else beside this program.
std::string find_binary(const std::string& name);
/// A file among this program's runfiles, "guest_kernel/kernel"; empty: there is none.
std::string find_runfile(const std::string& path);

template <class F>
std::optional<v1::StatusReply> LocalCluster::wait_for(F wanted, std::chrono::milliseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  for (;;) {
    for (const std::size_t node : in_order_of_asking()) {
      std::optional<v1::StatusReply> status = status_of(node);
      if (status && wanted(*status)) return status;
    }
    if (std::chrono::steady_clock::now() > end) return std::nullopt;
    wait_a_little();
  }
}

}  // namespace rse
