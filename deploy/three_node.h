// Three nodes on this machine as one computer, shown live, to be killed: what `three_node` (daemons) and `three_vm` (virtual
// machines) share. StoryOptions is the command line, Story the cluster with its load and injections, play_script() the
// version for scripts and tests, play_live() the one for people, run_story() a whole program.
// Threads: one, plus the one of Injector. Memory: small. Errors: sentences; the exit code is the verdict.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "node/client_cluster_access.h"
#include "node/client_local_cluster.h"
#include "node/client_verify.h"
#include "node/client_words.h"
#include "node/http/gateway.h"
#include "torus/braid/scenario.h"

namespace CLI {
class App;
}

namespace rse {

struct StoryOptions {
  std::string program;                // its name, in messages
  LocalCluster::Options cluster;
  /// What runs without --scenario; names: of cells, a file in `directory`, may stay empty. nullopt: `failure` says why.
  std::function<std::optional<Scenario>(const std::string& directory, std::string& names, std::string& failure)>
      default_scenario;
  std::string introduction;           // lines of the program's own, said when the nodes run

  std::vector<std::string> kill;      // names, killed one after the other
  std::uint64_t kills = 0;            // or so many, at random
  std::vector<std::string> pause;     // names, stopped for pause_milliseconds and let go again
  std::uint64_t pause_milliseconds = 1000;
  std::uint64_t after_epochs = 200;   // between two of them
  std::uint64_t epochs = 1000;        // at the end
  bool restart = false;
  bool all_at_once = false;
  bool verify = false;
  bool json = false;
  bool script = false;                // no display, no commands
  std::string http;                   // ADDRESS:PORT of the dashboard; empty: 127.0.0.1:7480 or, if that is taken, any port
  std::string scenario;               // file; empty: default_scenario
  std::string names;
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

/// What the dashboard asks for, carried out by the thread that started the nodes: they die with it.
class DashboardRequests {
 public:
  DashboardRequests();
  ~DashboardRequests();
  DashboardRequests(const DashboardRequests&) = delete;
  DashboardRequests& operator=(const DashboardRequests&) = delete;

  /// On any thread. What the person should read, once it was done.
  std::string ask(std::function<std::string()> action);
  /// On the thread of the nodes.
  void carry_out();
  /// Can be read when there is something to carry out.
  int descriptor() const { return descriptor_; }
  /// Whoever waits or asks from now on is told that this is the end.
  void close();

 private:
  std::mutex mutex_;
  std::deque<std::packaged_task<std::string()>> waiting_;
  bool closed_ = false;
  int descriptor_;
};

class Story {
 public:
  explicit Story(StoryOptions options);
  ~Story() { stop_serving(); }
  /// Starts the nodes and loads the scenario. Empty: done.
  std::string begin();
  /// Serves the dashboard. Empty: done.
  std::string serve();
  std::string dashboard_url() const { return gateway_ ? gateway_->url() : ""; }
  DashboardRequests& requests() { return requests_; }
  void stop_serving();
  LocalCluster& cluster() { return cluster_; }
  const StoryOptions& options() const { return options_; }
  const CellNames& names() const { return names_; }
  const std::vector<CellId>& cells() const { return cells_; }
  /// Each of these returns what the person should read.
  std::string kill(const std::string& name);
  std::string restart(const std::string& name);
  std::string pause(const std::string& name);
  std::string resume(const std::string& name);
  std::string log(const std::string& name, std::size_t lines) const;
  /// A wave, or an event, at a cell or a named one.
  std::string inject(const std::string& cell);
  std::string reached();
  std::optional<VerifyReport> verify(std::string& failure);
  /// "there is no node "x": they are a, b and c"; of an empty name: "which node? There are a, b and c"
  std::string unknown(const std::string& name) const;

 private:
  StoryOptions options_;
  LocalCluster cluster_;
  CellNames names_;
  std::vector<CellId> cells_;  // that injections may go to
  bool has_waves_ = false;
  std::unique_ptr<Requester> requester_;
  DashboardRequests requests_;
  std::unique_ptr<Gateway> gateway_;
  std::int32_t wave_ = 1'000'000;
};

int play_script(Story& story);
int play_live(Story& story);
/// SIGINT, SIGTERM or SIGHUP came.
bool interrupted();

/// The flags that all stories have.
void add_story_flags(CLI::App& app, StoryOptions& options);
/// The rest of main(), after `app` has parsed: signals, nodes, display or script. The exit code.
int run_story(const CLI::App& app, StoryOptions options);

}  // namespace rse
