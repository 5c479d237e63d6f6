// bazel run //deploy:three_node: three rse-node processes on this machine as one computer, shown live, to be killed.
// The pieces: StoryOptions is the command line, Story the cluster with its load and injections, play_script() the version for scripts and
// tests, play_live() the one for people.
// Threads: one, plus the one of Injector. Memory: small. Errors: sentences; the exit code is the verdict.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "node/client_cluster_access.h"
#include "node/client_local_cluster.h"
#include "node/client_verify.h"
#include "node/client_words.h"

namespace rse {

struct StoryOptions {
  std::vector<std::string> kill;      // names, killed one after the other
  std::uint64_t after_epochs = 200;   // between two of them
  std::uint64_t epochs = 1000;        // at the end
  bool restart = false;
  bool all_at_once = false;
  bool verify = false;
  bool json = false;
  bool script = false;                // no display, no commands
  std::string scenario;               // file; empty: packages of this machine
  std::string names;
  std::string data_directory;         // kept; empty: temporary
  std::string transport = "tcp";      // or "udp", "ivshmem", "mixed"
  double injections_per_second = 20;  // in scripts
  int limit_seconds = 300;            // of a script
};

/// Sends injections into random cells, at a steady rate, as a client that survives the death of nodes.
class Injector {
 public:
  Injector(std::vector<std::string> controls, std::vector<CellId> cells, double per_second, std::uint64_t seed);
  ~Injector();
  void stop();
  std::uint64_t accepted() const { return accepted_; }
  std::uint64_t failed() const { return failed_; }
  std::uint64_t repeated() const { return repeated_; }

 private:
  std::atomic<bool> stopping_{false};
  std::atomic<std::uint64_t> accepted_{0}, failed_{0}, repeated_{0};
  std::thread thread_;
};

class Story {
 public:
  explicit Story(StoryOptions options);
  /// Starts the nodes and loads the scenario. Empty: done.
  std::string begin();
  LocalCluster& cluster() { return cluster_; }
  const StoryOptions& options() const { return options_; }
  const CellNames& names() const { return names_; }
  const std::vector<CellId>& cells() const { return cells_; }
  std::string kill(const std::string& name);
  std::string restart(const std::string& name);
  /// Injects a wave at a package and returns what the person should read.
  std::string inject(const std::string& package);
  std::string reached();
  std::optional<VerifyReport> verify(std::string& failure);

 private:
  StoryOptions options_;
  LocalCluster cluster_;
  CellNames names_;
  std::vector<CellId> cells_;  // that injections may go to
  std::unique_ptr<Requester> requester_;
  std::int32_t wave_ = 1'000'000;
};

int play_script(Story& story);
int play_live(Story& story);
/// SIGINT or SIGTERM came.
bool interrupted();

}  // namespace rse
