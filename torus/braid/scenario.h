// A scenario as plain data: what a run starts from. Read from text by node/scenario_text; sent between nodes and
// hashed in the canonical bytes that encode_scenario() gives.
// Size: bounded by kScenarioBytesMax encoded. Threads, errors: as each function says.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "torus/base/bytes.h"
#include "torus/base/digest.h"
#include "torus/base/result.h"
#include "torus/engine/event.h"

namespace rse {

struct Scenario {
  struct Relay { CellId cell; std::optional<std::int32_t> max_payload; };
  struct Edge { CellId from; CellId to; std::uint32_t delay; };
  struct Process { CellId cell; std::string program; std::string args; };
  std::uint64_t epoch_ticks = 1000;  // K(0) = K(1), at least 1
  bool adaptive = false;
  bool boundary_coupling = false;
  std::uint32_t boundary_tolerance = 10;
  std::vector<Relay> relays;
  std::vector<Edge> edges;
  std::vector<Process> processes;
  std::vector<Event> injections;  // with their own times; src = dst unless given
};

inline constexpr std::size_t kScenarioBytesMax = 64u << 20;

Bytes encode_scenario(const Scenario& scenario);
/// kTooLarge, kTruncated, kMalformed, kUnknownVersion, kBadDelay: nothing is allocated beyond the size of `bytes`.
Result<Scenario> decode_scenario(std::span<const std::byte> bytes);
/// BLAKE2b-256 of the canonical bytes: which scenario a run is of.
Digest256 scenario_hash(const Scenario& scenario);

}  // namespace rse
