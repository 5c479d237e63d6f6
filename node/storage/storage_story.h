// What the tests of storage write, and what they expect to read back after anything happened in
// between.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "node/storage/data_directory.h"
#include "node/storage/simulated_files.h"
#include "torus/base/random.h"

namespace rse {

/// All that a data directory holds, comparable.
struct StoredState {
  std::optional<Bytes> vote;
  std::set<Bytes> scenarios;
  std::map<std::tuple<RunId, TorusId, Epoch>, Seal> seals;
  std::map<std::tuple<RunId, TorusId, CutNumber>, std::map<std::uint8_t, Bytes>>
      cuts;  // region -> bytes
  friend bool operator==(const StoredState&, const StoredState&) = default;
};

/// Each part is wholly that of `old` or of `now`: what a crash may leave of several records written
/// at once.
inline bool is_mixed_by_parts_only(const StoredState& state, const StoredState& old,
                                   const StoredState& now) {
  const auto parts_agree = [](const auto& found, const auto& before, const auto& after) {
    for (const auto& [key, value] : found) {
      const auto old_value = before.find(key);
      const auto new_value = after.find(key);
      const bool known = (old_value != before.end() && old_value->second == value) ||
                         (new_value != after.end() && new_value->second == value);
      if (!known) return false;
    }
    for (const auto& [key, value] : before) {
      if (after.contains(key) && !found.contains(key)) return false;
    }
    return true;
  };
  // The new one is whole before any other goes.
  const bool has_new = std::includes(state.scenarios.begin(), state.scenarios.end(),
                                     now.scenarios.begin(), now.scenarios.end());
  std::set<Bytes> either = old.scenarios;
  either.insert(now.scenarios.begin(), now.scenarios.end());
  const bool scenarios_agree =
      state.scenarios == old.scenarios ||
      (has_new && std::includes(either.begin(), either.end(), state.scenarios.begin(),
                                state.scenarios.end()));
  return (state.vote == old.vote || state.vote == now.vote) &&
         scenarios_agree &&
         (state.seals == old.seals || state.seals == now.seals) &&
         parts_agree(state.cuts, old.cuts, now.cuts);
}

inline Bytes random_bytes(Random& random, std::size_t size) {
  Bytes bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random.next());
  return bytes;
}

/// The regions of one torus, of which each cut changes some.
class StoryTorus {
 public:
  explicit StoryTorus(std::uint64_t seed, std::size_t region_bytes_max)
      : random_(seed), bytes_max_(region_bytes_max) {
    for (std::size_t i = 0; i < kRegionCount; ++i) change(i);
  }
  void change_some(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) change(random_.below(kRegionCount));
  }
  /// Such as an empty region, of which every torus has some.
  void set(std::size_t index, const Bytes& bytes) {
    auto region = std::make_shared<Region>();
    region->index = static_cast<std::uint8_t>(index);
    region->bytes = bytes;
    digests_.of[index] = digest_of(region->bytes);
    regions_[index] = region;
  }
  PersistCut cut(RunId run, TorusId torus, CutNumber number, Halves halves) const {
    PersistCut cut{run, torus, number, halves, digests_, {}};
    for (const auto& region : regions_) {
      if ((half_of_region(region->index) & halves) != 0) cut.regions.push_back(region);
    }
    return cut;
  }

 private:
  void change(std::size_t index) {
    set(index, random_bytes(random_, 1 + random_.below(static_cast<std::uint32_t>(bytes_max_))));
  }
  Random random_;
  std::size_t bytes_max_;
  RegionDigests digests_;
  std::array<std::shared_ptr<const Region>, kRegionCount> regions_;
};

inline RecoveredSeal seal_of(RunId run, TorusId torus, std::uint64_t epoch, std::int32_t payload) {
  Seal seal;
  Injection injection;
  injection.client = {7};
  injection.sequence = epoch + 1;
  injection.dst = injection.src = cell_at(torus, 1, 2, 3);
  injection.payload = payload;
  seal.injections.push_back(injection);
  return {run, torus, {epoch}, {1}, seal};
}

/// What the contract of Persist says that the state is afterwards.
inline void apply(StoredState& state, const Persist& work) {
  if (const auto* vote = std::get_if<PersistVote>(&work.what)) state.vote = vote->record;
  if (const auto* scenario = std::get_if<PersistScenario>(&work.what)) {
    std::erase_if(state.scenarios,
                  [&](const Bytes& other) { return std::count(scenario->keep.begin(), scenario->keep.end(), digest_of(other)) == 0; });
    state.scenarios.insert(scenario->scenario);
  }
  if (const auto* seals = std::get_if<PersistSeals>(&work.what)) {
    for (const RecoveredSeal& seal : seals->seals)
      state.seals[{seal.run, seal.torus, seal.epoch}] = seal.seal;
  }
  if (const auto* cut = std::get_if<PersistCut>(&work.what)) {
    auto& regions = state.cuts[{cut->run, cut->torus, cut->cut}];
    for (const auto& region : cut->regions) regions[region->index] = region->bytes;
  }
  if (const auto* drop = std::get_if<DropCuts>(&work.what)) {
    std::erase_if(state.cuts, [&](const auto& entry) {
      return std::get<0>(entry.first) != drop->run || std::get<2>(entry.first) < drop->keep_from;
    });
    std::erase_if(state.seals, [&](const auto& entry) {
      return std::get<0>(entry.first) != drop->run ||
             std::get<2>(entry.first).raw + 3 < drop->keep_from;
    });
  }
}

inline StoredState state_of(Recovered recovered) {
  StoredState state;
  state.vote = recovered.vote;
  state.scenarios.insert(recovered.scenarios.begin(), recovered.scenarios.end());
  for (RecoveredSeal& seal : recovered.seals)
    state.seals[{seal.run, seal.torus, seal.epoch}] = seal.seal;
  for (RecoveredCut& cut : recovered.cuts) {
    auto& regions = state.cuts[{cut.run, cut.torus, cut.cut}];
    for (Region& region : cut.regions) regions[region.index] = region.bytes;
  }
  return state;
}

/// Steps of one to many records each, as a node would write them: votes, seals, cuts of three tori,
/// drops, a second run.
inline std::vector<std::vector<Persist>> make_story(std::uint64_t seed,
                                                    std::size_t region_bytes_max = 300) {
  Random random(seed);
  std::vector<StoryTorus> tori;
  for (std::size_t i = 0; i < kTorusCount; ++i) tori.emplace_back(seed * 3 + i, region_bytes_max);
  std::vector<std::vector<Persist>> steps;
  std::uint64_t token = 0;
  const auto work = [&](auto what) { return Persist{++token, std::move(what)}; };
  const auto vote = [&] { return work(PersistVote{random_bytes(random, 20 + random.below(700))}); };
  steps.push_back({vote()});
  Digest256 present;
  for (const RunId run : {RunId{1}, RunId{2}}) {
    // Two are offered, and the second is begun; the one of the run before stays meanwhile.
    for (int offer = 0; offer < 2; ++offer) {
      const Bytes scenario = random_bytes(random, 2000);
      steps.push_back({work(PersistScenario{scenario, digest_of(scenario), {present}})});
      if (offer == 1) present = digest_of(scenario);
    }
    for (CutNumber cut = 1; cut <= 5; ++cut) {
      const Bytes common = random_bytes(random, 50);
      for (StoryTorus& torus : tori) {
        torus.change_some(20);
        torus.set(30, common);
        torus.set(31, common);
      }
      std::vector<Persist> seals;
      for (std::uint8_t t = 0; t < kTorusCount; ++t) {
        seals.push_back(work(
            PersistSeals{{seal_of(run, {t}, cut - 1, static_cast<std::int32_t>(random.next()))}}));
      }
      std::vector<Persist> cuts;
      cuts.push_back(work(tori[0].cut(run, {0}, cut, kBothHalves)));
      cuts.push_back(work(tori[1].cut(run, {1}, cut, 1)));
      cuts.push_back(work(tori[2].cut(run, {2}, cut, 2)));
      if (cut % 2 == 0) {  // all at once, as when the writer is behind
        seals.insert(seals.end(), cuts.begin(), cuts.end());
        steps.push_back(seals);
      } else {
        steps.push_back(seals);
        for (Persist& one : cuts) steps.push_back({one});
      }
      if (cut == 3) steps.push_back({vote()});
      if (cut == 3)
        steps.push_back({work(tori[1].cut(run, {1}, cut, 2))});  // the other half follows
      if (cut >= 2) steps.push_back({work(DropCuts{run, cut - 1})});
    }
  }
  steps.push_back({work(PersistVote{random_bytes(random, 30000)})});  // outgrows its slot
  steps.push_back({vote()});
  return steps;
}

}  // namespace rse
