// What three_node runs: this machine's packages as a network of events, and beside it a load that keeps the tori busy.
// Threads: none. Memory: the scenario. Errors: a sentence.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "torus/braid/scenario.h"

namespace rse {

/// A relay of the load passes nothing on beyond it. What the load begins with does not get there in days; what is injected
/// later begins so near to it that it goes round for a second or so, or the load would grow with every injection.
inline constexpr std::int32_t kLoadPayloadMax = 2'000'000'000;
inline constexpr std::uint32_t kInjectedHopsMax = 10'000;

struct LoadOptions {
  std::uint32_t cells = 4096;   // of each torus, at most what the scenario leaves free
  std::uint32_t events = 256;   // on their way in each torus
  std::uint32_t phold_cells = 256;  // of each torus, at most the longest run that is free in all three
  std::uint32_t remote = 1;     // edges of each torus that lead to the next one
  std::uint64_t seed = 1;
};

/// Adds PHOLD in a run of cells that `scenario` does not use, ten percent of its events going to other tori; and relays in
/// other free cells: one closed path through all three tori in a random order, on which
/// events go round for ever. Their number never changes, so the load does not either.
void add_load(Scenario& scenario, const LoadOptions& options);

/// The scenario of this machine's package database, with names.tsv in `directory`. nullopt: `failure` says why.
std::optional<Scenario> package_scenario(const std::string& directory, std::string& names_file, std::string& failure);

}  // namespace rse
