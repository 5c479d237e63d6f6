// What the stories share: a scenario that keeps the tori busy and counts what was injected, and a client that knows the sum of
// what was acknowledged.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "node/client_cluster_access.h"
#include "node/client_local_cluster.h"
#include "node/client_verify.h"
#include "torus/braid/scenario.h"

namespace rse {

inline constexpr std::chrono::seconds kStoryLimit{60};

/// Events that go round through 2,048 relays of each torus and, now and then, to the next one; 64 counters a torus.
Scenario busy_scenario();
/// The cells of the counters.
std::vector<CellId> counter_cells();

/// Three nodes that run busy_scenario(), or the failure.
std::string start_busy(LocalCluster& cluster);
bool healthy_on_three(const v1::StatusReply& status);
std::uint64_t slowest_epoch(const v1::StatusReply& status);
/// Polls until the slowest torus is `more` epochs further than now.
bool run_on(LocalCluster& cluster, std::uint64_t more);
/// Polls until `node` is out of the view and all tori run.
bool wait_rebuilt(LocalCluster& cluster);
std::string log_tails(const LocalCluster& cluster);

/// Sends payloads into random counters from a thread of its own until stop().
class CountingClient {
 public:
  CountingClient(std::vector<std::string> controls, std::uint64_t seed);
  ~CountingClient();
  void stop();
  std::int64_t sum() const { return sum_; }
  std::uint64_t accepted() const { return accepted_; }
  const std::string& failure() const { return failure_; }

 private:
  std::atomic<bool> stopping_{false};
  std::int64_t sum_ = 0;
  std::uint64_t accepted_ = 0;
  std::string failure_;
  std::thread thread_;
};

/// Sum of all counters, read from the hosts of the tori; polls until it is `expected` or time is up.
std::int64_t counted(LocalCluster& cluster, std::int64_t expected);
/// The sentence of `rse verify`; starts with "identical" when it is.
std::string verdict(LocalCluster& cluster);

/// Kills and restarts each node in turn under load and injections, with `epochs` between the steps, and checks that nothing was
/// lost and that the result is identical.
void kill_each_in_turn(LocalCluster& cluster, std::uint64_t epochs);

}  // namespace rse
