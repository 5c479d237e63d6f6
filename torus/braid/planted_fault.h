// Faults planted on purpose, so that the simulator can show that it would find them. A build with -DRSE_PLANTED_FAULTS, which
// nothing that ships uses, can switch one of them on; in every other build planted() is false at compile time.
// Threads: set before the first node is made. Size, memory, errors: none.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace rse {

enum class Fault : std::uint8_t {
  kNone,
  kVoteNotPersisted,        // a promise or acceptance leaves before it is on disk
  kLowBallotAccepted,       // an acceptor forgets what it promised when it is asked to accept
  kAcceptedValueIgnored,    // a proposer does not adopt the value that a promise reports
  kMajorityOfOne,           // the first acceptance decides
  kViewWithoutFencing,      // installing a view does not take a torus from the host before
  kFencedHostAccepted,      // packets of a host that the view has removed are taken
  kLaterViewAcknowledges,   // a heartbeat of a later view counts as acknowledgement
  kOneGatherAnswerIsEnough, // the first answer completes a gather
  kSealedBeforeOfficial,    // a machine that is being got ready seals epochs of its own
  kKnownSealsIgnored,       // a replay makes new seals instead of those that disks hold
  kAnsweredBeforeSecondCopy,
  kAnsweredBeforeDisk,
  kSealsDurableEarly,       // seals count as being on disk when their write begins
  kInputsForgotten,         // a durable cut forgets inputs that its machine still needs
  kOldCutForgotten,         // the cut before goes, on disk too, when a new one is taken, not when that is durable
  kCutDurableEarly,         // a cut is announced before its holders have it
  kOwnCutNotPersisted,
  kShardNotRepeated,        // a shard is sent once
  kPacketsNotRepeated,      // what a peer lacks is not sent again
  kWrongBase,               // a shard's unchanged regions are taken from any cut, whatever their digests
  kHeartbeatSequenceStuck,
  kResumedFromScenario,     // a resumption always begins the run again
  kClientsForgotten,        // a restored machine has an empty client table
  kClientAppliedTwice,      // a machine applies a repeated request
  kVoteNotSynced,
  kJournalNotSynced,
  kCutNamesNotSynced,
  kCount,
};
inline constexpr std::array<std::string_view, static_cast<std::size_t>(Fault::kCount)> kFaultNames = {
    "none", "vote-not-persisted", "low-ballot-accepted", "accepted-value-ignored", "majority-of-one", "view-without-fencing",
    "fenced-host-accepted", "later-view-acknowledges", "one-gather-answer-is-enough", "sealed-before-official",
    "known-seals-ignored", "answered-before-second-copy", "answered-before-disk", "seals-durable-early", "inputs-forgotten",
    "old-cut-forgotten", "cut-durable-early", "own-cut-not-persisted", "shard-not-repeated", "packets-not-repeated",
    "wrong-base", "heartbeat-sequence-stuck", "resumed-from-scenario", "clients-forgotten", "client-applied-twice",
    "vote-not-synced", "journal-not-synced", "cut-names-not-synced"};

#ifdef RSE_PLANTED_FAULTS
inline Fault planted_fault = Fault::kNone;
inline bool planted(Fault fault) { return planted_fault == fault; }
#else
constexpr bool planted(Fault) { return false; }
#endif

}  // namespace rse
