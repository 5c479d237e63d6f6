// The three tori once more, written for reading, straight from DESIGN 2.1 and 2.3: sets and maps, every epoch run, no
// leaps, no programs, no capacities. Tests run it beside three TorusMachines and compare all that can be seen.
// Threads: none. Memory: the heap, the whole history. Errors: none. Shares with the real code the plain structs only.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <set>
#include <tuple>
#include <vector>

#include "torus/braid/packet.h"
#include "torus/braid/scenario.h"

namespace rse {

class NaiveBraid {
 public:
  /// The recorded seal of a torus at the end of an epoch.
  using SealRecord = std::map<std::pair<std::uint64_t, int>, Seal>;  // (epoch, torus)

  struct EpochRecord {
    std::uint64_t start = 0;
    std::uint64_t length = 0;
    std::array<Projection, 3> projections;  // without the quiet flag
    std::array<std::array<std::vector<Event>, 3>, 3> batches;  // [from][to]
    std::array<std::map<std::uint32_t, std::uint64_t>, 3> cell_counts;
  };

  explicit NaiveBraid(const Scenario& scenario);
  /// Runs the next epoch.
  void run_epoch(const SealRecord& seals);

  const EpochRecord& epoch(std::uint64_t number) const { return epochs_[number]; }
  std::uint64_t epoch_count() const { return epochs_.size(); }
  std::uint64_t end_tick() const { return start_; }
  std::uint64_t violations(int torus) const { return tori_[torus].violations; }
  std::uint64_t corrective(int torus) const { return tori_[torus].corrective; }
  std::uint64_t pending_total() const;

 private:
  //                   time, corrective first, dst, src, payload
  using Key = std::tuple<std::uint64_t, int, std::uint32_t, std::uint32_t, std::int32_t>;
  struct Link {
    std::uint32_t to;
    std::uint64_t delay;
  };
  struct OneTorus {
    std::multiset<Key> queue;
    std::map<std::uint32_t, std::vector<Link>> links;
    std::map<std::uint32_t, std::int32_t> limits;
    std::uint64_t h = 0;
    std::uint64_t events = 0;
    std::uint64_t corrective = 0;
    std::uint64_t violations = 0;
    std::uint64_t injections = 0;
    std::array<std::uint64_t, 3> sent{};
    std::array<std::uint64_t, 3> received{};
    std::list<std::pair<std::uint64_t, std::uint64_t>> clients;  // the latest at the back
  };

  void decide_length(std::uint64_t j);
  void deliver(int id, std::uint64_t j, const SealRecord& seals, EpochRecord& record);
  void constrain(int id, std::uint64_t j, EpochRecord& record);
  void inject(int id, const Seal& seal);
  void run_torus(int id, std::uint64_t end, EpochRecord& record);
  void process(int id, const Key& event, EpochRecord& record);
  Projection project(int id, std::uint64_t j, const EpochRecord& record) const;

  bool adaptive_;
  bool coupling_;
  std::int64_t tolerance_;
  std::uint64_t start_ = 0;
  std::uint64_t k_;
  int q_ = 0;
  std::array<OneTorus, 3> tori_;
  std::vector<EpochRecord> epochs_;
};

}  // namespace rse
