// What happened to a node, told to its neighbours for people only: so that whoever can be asked (an observer, the page of one
// machine) also knows the phases of a failover on nodes that cannot, as guests and other machines. It travels beside the
// braid's messages, and nothing that a node decides or computes reads it.
// Size: at most kReportTextBytesMax of text and some tens of bytes. Threads: any. Errors: none; what does not arrive is not known.
#pragma once

#include <optional>
#include <string>

#include "torus/base/strong.h"

namespace rse {

inline constexpr std::size_t kReportTextBytesMax = 512;
inline constexpr Duration kReportAgeMax = milliseconds(10'000);  // what is older is no news
/// rse.v1.IncidentRecord.Kind: those of BraidEvent, and one that no BraidEvent tells: the first new epoch that a rebuilt or moved
/// torus has finished here.
inline constexpr std::uint32_t kIncidentEventMax = 13;
inline constexpr std::uint32_t kIncidentFirstEpoch = 102;
constexpr bool is_incident_kind(std::uint32_t kind) { return kind <= kIncidentEventMax || kind == kIncidentFirstEpoch; }

struct IncidentReport {
  std::uint32_t kind = 0;
  Duration age{};                  // since it happened, on the teller's clock
  NodeId node{};                   // that it happened to
  std::optional<TorusId> torus{};
  Epoch epoch{};
  std::string text{};              // one sentence
};

}  // namespace rse
