// The story of each death, put together from the incidents that one or more nodes have kept: who died and why, who rebuilt
// what, and when each phase was over.
// Threads, errors: none. Memory: the caller's records.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "proto/rse/v1/control.pb.h"

namespace rse {

/// An incident, and the node that has it in its history.
struct Told {
  v1::IncidentRecord record;
  std::uint64_t by = 0;
  /// Whose incident it is.
  std::uint64_t whose() const { return record.by() != 0 ? record.by() : by; }
};

/// Each as it ends: the suspicion with the certainty that the node is lost.
enum class Phase : std::uint8_t { kLost, kViewAgreed, kGathered, kReplayed, kRunning };
inline constexpr std::size_t kPhaseCount = 5;
/// "suspected", "view agreed", "shards gathered", ...: the dashboard's words.
const char* phase_word(Phase phase);

struct Story {
  std::uint64_t node = 0;              // that died
  std::uint64_t begun_unix_nanoseconds = 0;  // first sign: a suspicion, or the loss itself
  std::string why;                     // as the first node that knew has said it
  std::vector<std::uint32_t> tori;     // that had to be rebuilt
  std::vector<std::uint64_t> hosts;    // by whom, in the same order
  std::array<std::optional<double>, kPhaseCount> ends;  // milliseconds after the first sign; of the slowest torus
  bool over = false;
  std::uint64_t witness = 0;           // node in whose history the loss has this number
  std::uint64_t number = 0;
  std::size_t first = 0;               // of all that was told, from the first sign to the end
  std::size_t last = 0;
};

using NodeNames = std::map<std::uint64_t, std::string>;
std::string name_in(const NodeNames& names, std::uint64_t node);

/// In the order of time. The clocks of nodes on several machines have to be right for that. What a node has told others counts only
/// where its own history is not among these.
std::vector<Told> put_together(const std::vector<v1::HistoryReply>& histories);
std::vector<Story> find_stories(const std::vector<Told>& told);
/// "b died: torus B grew back on c in 84 ms".
std::string tell(const Story& story, const NodeNames& names);

}  // namespace rse
