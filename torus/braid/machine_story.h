// What tests of the machine share: random scenarios of three coupled tori, random seals, and three machines in lockstep.
// Threads: none. Memory: three small arenas, reused. Invariant: everything follows from the seed.
#pragma once

#include <algorithm>
#include <memory>
#include <string>

#include "torus/base/random.h"
#include "torus/braid/naive_braid.h"
#include "torus/braid/torus_machine.h"

namespace rse {

inline constexpr Capacity kStoryCapacity{
    .events = 1u << 16, .edges = 4096, .processes = 512, .outbox_events = 1u << 16};

struct StoryOptions {
  bool with_programs = false;  // the naive braid knows none
  bool sparse = false;         // long gaps without events: leaps
  bool dense = false;          // most cells of the coupled faces are busy: violations, K goes up and down
};

/// A few dozen cells, most on the faces that are compared, with edges across tori.
Scenario random_scenario(std::uint64_t seed, const StoryOptions& options);
/// Injections of a few clients with repeats; empty most of the time.
Seal random_seal(Random& random, TorusId torus, bool must_be_empty, bool with_programs);

/// Three machines, one epoch of each at a time. Records the seals that it makes.
class Lockstep {
 public:
  Lockstep();
  void load(RunId run, const Scenario& scenario, Epoch leap_limit = Epoch{~0ull});
  /// Runs next_epoch() of all three. `seals`: recorded ones; nullptr: new random ones.
  void run_epoch(Random& random, const NaiveBraid::SealRecord* replayed = nullptr, bool with_programs = false);
  TorusMachine& operator[](std::size_t torus) { return *machines_[torus]; }
  Epoch next_epoch() const { return machines_[0]->next_epoch(); }
  const NaiveBraid::SealRecord& seals() const { return seals_; }
  /// Replaces the machine of `torus` by one restored from its checkpoint; its digests must be the same.
  std::string replace(std::size_t torus);
  std::array<Digest256, kTorusCount> state_digests();

  std::uint32_t seal_percent = 10;  // of seals that are not empty

 private:
  std::array<std::unique_ptr<TorusMachine>, kTorusCount> machines_;
  std::array<std::unique_ptr<TorusMachine>, kTorusCount> spares_;
  NaiveBraid::SealRecord seals_;
  Epoch leap_limit_{~0ull};
};

std::vector<Bytes> checkpoint_of(const TorusMachine& machine);

}  // namespace rse
