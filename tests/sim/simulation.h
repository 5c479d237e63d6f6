// A deterministic simulation of a cluster: real braid nodes, a simulated network, clock and disk, driven by one seed.
// The same seed and the same calls give the same run. Times are simulated nanoseconds.
// Checked all the time: every epoch that any node publishes or accepts is the same for all, and verify() compares them with
// three machines that run the same seals with no nodes around them.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <set>
#include <string>
#include <vector>

#include "torus/braid/braid_node.h"

namespace rse::sim {

struct SimOptions {
  std::uint64_t seed = 1;
  std::size_t nodes = 3;
  bool durable = false;
  std::uint32_t drop_percent = 0;        // of messages
  Duration latency_max = {200'000};
  Capacity capacity{.events = 1u << 13, .edges = 1u << 12, .processes = 512, .outbox_events = 1u << 12};
};

class Simulation {
 public:
  explicit Simulation(const SimOptions& options);

  // --- Faults and inputs, at the present moment. ---
  void start(std::size_t node);                 // the first founds, others join; a killed one restarts
  void kill(std::size_t node);                  // SIGKILL: memory gone, links closed, the disk stays
  void lose_disk(std::size_t node);
  void cut(std::size_t a, std::size_t b);       // both directions, silently
  void heal(std::size_t a, std::size_t b);
  void pause(std::size_t node);                 // as a suspended machine: nothing runs, nothing is lost
  void resume(std::size_t node);
  void load(const Scenario& scenario);
  /// Injects at `node`; counted as acknowledged when the answer comes.
  void inject(std::size_t node, CellId cell, std::int32_t payload);

  // --- Running. ---
  bool step();                                  // one action; false: nothing left
  void run_for(Duration span);
  /// Runs until `done` or `limit` of simulated time has passed; whether it was done.
  bool run_until(const std::function<bool()>& done, Duration limit);

  Instant now() const { return now_; }
  bool alive(std::size_t node) const;
  const BraidNode& node(std::size_t node) const;
  bool healthy() const;                         // all living nodes agree that nothing is missing
  Epoch epoch() const;                          // the lowest of the three tori's last sealed epochs
  /// Empty, or the first difference from a run without nodes, or a broken promise, as a sentence.
  std::string verify() const;
  std::size_t acknowledged() const { return acknowledged_.size(); }
  std::uint64_t messages() const { return messages_; }
  std::string story() const;                    // events of all nodes, for a failing test
  std::size_t retained_bytes_max() const;

 private:
  struct Disk {
    Recovered content;
    std::map<std::pair<std::uint8_t, CutNumber>, RecoveredCut> cuts;
    std::map<std::pair<std::uint8_t, std::uint64_t>, RecoveredSeal> seals;
  };
  struct Node {
    NodeId id;
    std::uint64_t incarnation = 0;
    std::unique_ptr<BraidNode> braid;
    Disk disk;
    bool paused = false;
    bool founded = false;
    Instant armed;
    Instant disk_free;  // writes are carried out in order
  };
  struct Action {
    Instant at;
    std::uint64_t order;
    std::function<void()> what;
    bool operator>(const Action& other) const {
      return std::tie(at, order) > std::tie(other.at, other.order);
    }
  };

  void at(Instant when, std::function<void()> what);
  void for_node(Instant when, std::size_t node, std::function<void(BraidNode&)> what);
  void drain(std::size_t node);
  void write(Disk& disk, const Persist& work);
  void connect(std::size_t a, std::size_t b);
  bool linked(std::size_t a, std::size_t b) const;
  Duration latency();
  std::size_t index_of(NodeId id) const { return static_cast<std::size_t>(id.raw - 100) % nodes_.size(); }
  void say(std::string line);
  void broken(const std::string& what);

  SimOptions options_;
  Random random_;
  Instant now_{1'000'000'000};
  std::uint64_t order_ = 0;
  std::uint64_t messages_ = 0;
  std::priority_queue<Action, std::vector<Action>, std::greater<>> actions_;
  std::vector<Node> nodes_;
  std::set<std::pair<std::size_t, std::size_t>> cut_;
  std::map<std::pair<std::size_t, std::size_t>, Instant> arrival_;  // keeps each direction in order
  std::map<std::uint64_t, Scenario> runs_;
  Scenario loading_;
  using Record = BraidNode::Sealed;
  std::map<std::tuple<std::uint64_t, std::uint8_t, std::uint64_t>, std::pair<Record, std::uint64_t>> sealed_;
  std::uint64_t generation_ = 0;  // +1 when two or more are dead: what only they knew may come to be otherwise
  std::map<std::uint64_t, Injection> injected_;
  std::set<std::uint64_t> acknowledged_;
  std::uint64_t sequence_ = 0;
  std::string broken_;
  std::vector<std::string> story_;
  bool trace_ = false;  // RSE_SIM_TRACE in the environment: the story as it happens
};

/// A small scenario with everything in it: PHOLD across tori, relays with coupling, counters.
Scenario busy_scenario(std::uint64_t seed);

}  // namespace rse::sim
