// The messages between nodes as plain structs; transport/codec turns them into rse.v1 protobuf and back.
// Size: each list has its bound here; the codec refuses more before it allocates. Threads: none.
//
// A cut is named by a number: 0 is the scenario itself, c + 1 the state after epoch c.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "torus/base/bytes.h"
#include "torus/base/digest.h"
#include "torus/braid/packet.h"
#include "torus/braid/region.h"
#include "torus/braid/view.h"

namespace rse {

inline constexpr std::size_t kMessageBytesMax = 16u << 20;
inline constexpr std::uint32_t kRestMillisecondsMax = 500;
using CutNumber = std::uint64_t;
inline constexpr CutNumber kScenarioCut = ~CutNumber{0};  // in Gather only, where 0 means the newest

/// Proof of life and everything cumulative: safe to lose, repeat and reorder. Sent every interval and when it changes.
struct Heartbeat {
  ViewNumber view;
  RunId run;
  std::uint64_t sequence = 0;             // of this sender's life; older ones are ignored
  std::vector<NodeId> hears;              // heard directly within the early-silence limit
  std::vector<NodeId> suspects;           // members that the sender would vote lost
  /// The first epoch of each torus whose packet the sender does not hold: all before are acknowledged.
  std::array<Epoch, kTorusCount> wanted{};
  /// Likewise, but for seals that are on the sender's disk (with no data directory: equal to `wanted`).
  std::array<Epoch, kTorusCount> durable{};
  /// For tori that the sender hosts: the newest cut whose shards both holders have acknowledged; else 0.
  std::array<CutNumber, kTorusCount> cut_complete{};
  /// For tori that the sender hosts: next epoch to run and ticks done inside it; else 0.
  std::array<Epoch, kTorusCount> running{};
  std::array<std::uint64_t, kTorusCount> progress{};
  std::uint8_t ready = 0;                 // bit t: hosts torus t and it runs (not being rebuilt)
  std::uint8_t settled = 0;               // bit t: it is ready, and the holders have all of a cut: its copies are whole
  bool undecided = false;                 // the sender has accepted a next view, which may still come, whatever happens meanwhile
  /// For so long the sender may say nothing more, because it has nothing to do: its silence counts from then on.
  std::uint32_t rest_milliseconds = 0;
};

/// A torus's epoch, from its host to the others' hosts.
struct PacketMessage {
  ViewNumber view;
  bool first = false;  // the oldest that the host has: whoever knows nothing of the torus yet begins with it
  Packet packet;
};

/// Part of a shard of a cut, from the host to a holder: regions that changed since `base` (0: all are sent).
struct ShardPart {
  ViewNumber view;
  RunId run;
  TorusId torus;
  CutNumber cut = 0;
  CutNumber base = 0;
  Halves halves = 0;                // which regions the shard consists of
  std::uint32_t part = 0;           // from 0
  bool last = false;
  std::vector<Digest256> digests;   // of all regions, in part 0 only: exactly kRegionCount
  std::vector<RegionPiece> pieces;
};

/// From the holder: it has the shard (on disk, if it has a data directory), or it lacks the base and wants all of it.
struct ShardAck {
  ViewNumber view;  // of the parts: the host may have lost the torus and have come back to it since
  RunId run;
  TorusId torus;
  CutNumber cut = 0;
  Halves halves = 0;
  bool held = false;
};

/// Some of the regions of a cut of one torus, as a node holds them.
struct HeldCut { CutNumber cut = 0; Halves halves = 0; };
inline constexpr std::size_t kHoldingsMax = 16;

/// From a node that rebuilds or takes over a torus, to whoever may hold something of it.
struct Gather {
  ViewNumber view;       // 0: speculative or for a planned move: answered without a view
  RunId run;
  TorusId torus;
  std::uint64_t request = 0;
  bool with_cut = false;     // false: packets from `from_epoch` on are enough
  std::array<Epoch, kTorusCount> have{};  // packets of each torus before this epoch are with the requester already
  Epoch from_epoch;          // with_cut = false: the first epoch the requester's machine will run
  CutNumber cut_wanted = 0;  // 0: the newest the holder has; kScenarioCut: none, all packets; else exactly this
  bool everything = false;   // packets of all tori, whoever hosts them, and those before `have`
  /// What the requester holds already, oldest first: of these, where the holder has the rest, only the rest is sent.
  std::vector<HeldCut> held;  // at most kHoldingsMax
};

/// Regions of a cut that the answering node holds.
struct GatherRegions {
  std::uint64_t request = 0;
  TorusId torus;
  CutNumber cut = 0;
  std::vector<Digest256> digests;  // of all regions; kRegionCount, or empty when sent before for this request and cut
  std::vector<RegionPiece> pieces;
};

/// Packets of the torus or inputs to it, one after the other in the canonical bytes of encode_packet(), about kPartBytes.
struct GatherPacket {
  std::uint64_t request = 0;
  TorusId torus;  // that is being rebuilt
  Bytes packet;
};

/// A seal as some host recorded it. Of two for the same epoch, the one of the later view counts.
struct SealedEpoch {
  Epoch epoch;
  ViewNumber view;
  Seal seal;
};
inline constexpr std::size_t kSealedEpochsMax = 1u << 16;  // in an answer
inline constexpr std::size_t kSealsPerMessageMax = 1024;

/// Resumption only: what the answering node knows of the torus's seals, about kPartBytes at a time.
struct GatherSeals {
  std::uint64_t request = 0;
  TorusId torus;
  std::vector<SealedEpoch> seals;
};

/// Ends an answer: how much was sent before it, so that a lost part is noticed.
struct GatherDone {
  std::uint64_t request = 0;
  TorusId torus;
  ViewNumber view;                       // installed by the answering node; 0 for a speculative answer
  bool refused = false;                  // not yet at that view, or another run: ask again
  std::uint32_t region_messages = 0;
  std::uint32_t packet_messages = 0;
  std::uint32_t seal_messages = 0;
  /// with_cut: every cut that the answering node has a part of, the newest kHoldingsMax, oldest first.
  std::vector<HeldCut> held;
};

/// Single-decree Paxos for one view number. `ballot` = round << 16 | rank of the proposer among the voters.
struct Prepare { ViewNumber number; std::uint64_t ballot = 0; };
struct Promise {
  ViewNumber number;
  std::uint64_t ballot = 0;
  std::uint64_t accepted_ballot = 0;     // 0: nothing accepted; `accepted` is then empty
  Bytes accepted;                        // encode_view()
};
struct Reject { ViewNumber number; std::uint64_t ballot = 0; std::uint64_t promised = 0; };
struct Accept { ViewNumber number; std::uint64_t ballot = 0; Bytes view; };
struct Accepted { ViewNumber number; std::uint64_t ballot = 0; };
/// A decided view; also the answer to anyone who seems to be behind.
struct Decided { Bytes view; };

/// A node that is no member asks to become one; repeated until a view admits it. Key and ticket are what its link proved:
/// they are filled in by the member that has the link, for the voters that it passes this on to.
struct Join {
  Member joiner;
  ViewNumber view;  // the newest view that it knows; in it, it is no member
  PublicKey key;
  std::uint64_t ticket = 0;
};

/// An operator's wish, from the member that was asked to the voters; repeated until a view fulfils it.
struct TrustWish { TrustChange change; };

/// Asks the voters to propose: `torus` moves to the sender, which has caught up with it.
struct TakeOver { ViewNumber view; TorusId torus; Epoch caught_up; };

/// What a restarted voter, or a survivor of the loss of a majority, has: enough to fix a cut from which all can go on.
struct Holdings {
  struct Cut { TorusId torus; CutNumber cut = 0; Halves halves = 0; };
  ViewNumber view;
  RunId run;
  Member self;
  bool running = false;                  // false: restarted, has memory of nothing but its disk
  bool has_scenario = false;
  std::vector<Cut> cuts;                 // of each torus at most kHoldingsMax, the oldest and the newest
  CutNumber durable_cut = 0;             // the sender may have forgotten what came before it
};

/// A client's request on its way to the host of its torus, and the answer back.
struct InjectRequest { RunId run; TorusId torus; Injection injection; };
/// kOvertaken: the client has gone on to a later sequence, so that this one will not be applied any more.
enum class InjectStatus : std::uint8_t { kAccepted = 0, kRunEnded = 1, kTooMany = 2, kUnknownProgram = 3, kOvertaken = 4 };
struct InjectAnswer { ClientId client; std::uint64_t sequence = 0; InjectStatus status{}; Epoch sealed_in; };

/// A scenario in parts: offered for the run after `run`, so that each member answers when it holds all of it, or the present one's.
struct ScenarioPart {
  Digest256 hash;
  std::uint32_t total_bytes = 0;
  std::uint32_t offset = 0;
  Bytes bytes;
  bool offer = false;
  RunId run;
};
struct ScenarioHeld { Digest256 hash; RunId run; };  // during that run: with the next one offers are put away
/// Asks for the scenario of that hash.
struct ScenarioWanted { Digest256 hash; };

using Message =
    std::variant<Heartbeat, PacketMessage, ShardPart, ShardAck, Gather, GatherRegions, GatherPacket, GatherDone, Prepare,
                 Promise, Reject, Accept, Accepted, Decided, Join, TakeOver, Holdings, InjectRequest, InjectAnswer,
                 ScenarioPart, ScenarioHeld, ScenarioWanted, GatherSeals, TrustWish>;

/// What crosses a link: a message from `origin` to `destination`, perhaps by way of a member that hears both.
struct Envelope {
  NodeId origin;
  std::uint64_t origin_incarnation = 0;
  NodeId destination;
  Message message;
};

/// The same for whoever passes it on later: bytes that a received frame lends are copied.
Envelope kept(Envelope envelope);

}  // namespace rse
