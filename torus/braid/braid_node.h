// One node's part in the braid: the protocol of DESIGN 3 without clock, socket, thread or disk. The same calls in the same
// order give the same outputs, in the daemon, the guest kernel and the simulator. Explained in docs/internals/braid.md.
// Threads: one, but for Work::RunEpoch, which may execute anywhere. Memory: bounded by the capacities and kRetained*.
// Errors: hostile or late messages are dropped and counted; what an operator should know comes out as a BraidEvent.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "torus/braid/messages.h"
#include "torus/braid/torus_machine.h"

namespace rse {

/// What a data directory gave back at start. Nothing: a node without one, or with an empty one.
struct RecoveredCut {
  RunId run;
  TorusId torus;
  CutNumber cut = 0;
  Halves halves = 0;
  RegionDigests digests;
  std::vector<Region> regions;  // verified against `digests` by whoever read them
  ViewNumber resumed;           // the newest resumption when it was taken
};
/// Of two seals for the same epoch, the one of the later view counts.
struct RecoveredSeal { RunId run; TorusId torus; Epoch epoch; ViewNumber view; Seal seal; };
struct Recovered {
  std::optional<Bytes> vote;       // last Persist::Vote
  std::vector<RecoveredCut> cuts;
  std::vector<RecoveredSeal> seals;
  std::vector<Bytes> scenarios;    // the present run's and perhaps the next one's
  RunId dropped_run;               // last DropCuts: what came before that cut of that run may be gone
  CutNumber dropped_before = 0;
};

/// Things to write. Each is answered by on_persisted(token) once it would survive a loss of power.
/// A node without a data directory is told kVolatile and gets none of these.
struct PersistVote { Bytes record; };                       // replaces the one before
struct PersistCut {                                         // adds a cut; DropCuts removes
  RunId run; TorusId torus; CutNumber cut; Halves halves; RegionDigests digests;
  std::vector<RegionPtr> regions;                           // all regions of `halves`
  ViewNumber resumed;
};
struct PersistSeals { std::vector<RecoveredSeal> seals; };  // appends to the journal
struct PersistScenario {                                    // adds a scenario; all others but `keep` may go
  Bytes scenario;
  Digest256 hash;
  std::vector<Digest256> keep;
};
/// Cuts of other runs, or of this run and older than `keep_from`, may go, with the seals before `keep_from` - 3.
struct DropCuts { RunId run; CutNumber keep_from; };

/// An epoch that the host before had sealed: run again, and sealed as it was.
struct ReplayedEpoch {
  std::shared_ptr<const Packet> from_next, from_previous;  // null where the machine needs none
  std::shared_ptr<const Packet> sealed;                    // what the torus has published of it
};
struct ReplayResult {
  std::vector<std::string> alarms;
  std::vector<Epoch> differs;  // from what was published: determinism is broken
  std::optional<Epoch> last_sealed;
};
/// What a worker does with a machine: run its next epoch, or many that are known already; put it in the canonical form of a
/// cut; build it again. kHashCut needs no machine: it may run beside the torus, in order with others of its kind and torus.
struct RunEpoch {
  enum class Kind : std::uint8_t { kRun, kReplay, kTakeCut, kHashCut, kRestore, kLoad };
  Kind kind{};
  TorusId torus;
  TorusMachine* machine = nullptr;
  std::shared_ptr<const Packet> from_next, from_previous;  // kRun; both null when no inputs are needed
  std::vector<ReplayedEpoch> replay;                       // kReplay: in order; it ends early where a cut is due
  std::shared_ptr<ReplayResult> replayed;                  // kReplay: filled in
  std::shared_ptr<const CutRegions> before;                // kTakeCut, kHashCut: the machine's last cut; null: none
  std::shared_ptr<CutRegions> taken;                       // kTakeCut: regions filled in; kHashCut: their digests
  std::vector<RegionPtr> regions;                          // kRestore: some more of a cut, the head first of all
  bool last = false;                                       // kRestore: these complete it
  RunId run;                                               // kLoad
  std::shared_ptr<const Scenario> scenario;                // kLoad
  std::shared_ptr<std::optional<Error>> failure;           // kRestore, kLoad: filled in
};
struct Persist {
  std::uint64_t token;
  std::variant<PersistVote, PersistCut, PersistSeals, PersistScenario, DropCuts> what;
};
/// RunEpoch: call execute() on any thread, then on_epoch_done() on the braid's, with the work's torus and kind; until then the
/// braid leaves that machine alone.
using Work = std::variant<RunEpoch, Persist>;
void execute(const RunEpoch& work);

struct Outgoing {
  NodeId next_hop;  // equals envelope.destination unless it is relayed
  Envelope envelope;
};

/// For the operator: incidents, never needed for correctness. `text` is one sentence; the rest is for machines.
struct BraidEvent {
  enum class Kind : std::uint8_t {
    kPeerSuspected, kPeerHeardAgain, kPeerLost, kViewInstalled, kRebuildStarted, kRebuildReplaying, kRebuilt,
    kHandedOver, kCutDurable, kRunStarted, kStopped, kResumed, kAlarm, kJoined,
  };
  Kind kind{};
  Instant at;
  NodeId node;
  std::optional<TorusId> torus;
  Epoch epoch;
  std::string text;
};
/// A word for logs, such as "view_installed".
const char* to_string(BraidEvent::Kind kind);

enum class Health : std::uint8_t {
  kHealthy,      // any one node may fail
  kUnprotected,  // fewer than three nodes, or shards still on their way: one failure already used
  kRebuilding,   // a torus does not run now
  kStopped,      // fewer than a majority of the voters: waiting for others
  kJoining,      // not a member yet
};

struct TorusStatus {
  NodeId host;
  Epoch epoch;              // last whose projection this node knows
  Tick end_tick;
  std::uint64_t events = 0;
  std::uint64_t pending = 0;
  std::uint64_t refused = 0;
  std::uint64_t processes = 0;
  std::uint64_t event_digest = 0;
  CutNumber cut_durable = 0;
  bool hosted_here = false;
  bool running = false;     // as its host says
  std::uint64_t progress = 0;
  // While it is put together here: what is done, and what there is to do as far as that is known.
  std::uint32_t regions_restored = 0, regions_to_restore = 0;
  std::uint64_t epochs_replayed = 0, epochs_to_replay = 0;
};
struct PeerStatus {
  NodeId node;
  std::string name;
  bool member = false, voter = false, linked = false, suspected = false;
  Duration silence;         // age of the last proof of life
  NodeId via;               // 0: direct; else the relay
};
struct BraidStatus {
  Health health{};
  std::string verdict;      // one sentence
  View view;
  std::array<TorusStatus, kTorusCount> tori;
  std::vector<PeerStatus> peers;
  std::uint64_t messages_refused = 0;
  std::uint64_t retained_bytes = 0;
};

/// Where a node's machines come from and go when it is done with them, so that whoever runs many nodes one after the other
/// need not build each machine's pools anew. A machine that is given back may be handed out again in any state.
class MachinePool {
 public:
  virtual ~MachinePool() = default;
  virtual TorusMachine* take(TorusId torus, const Capacity& capacity) = 0;
  virtual void give(TorusMachine* machine) = 0;
};

class BraidNode {
 public:
  struct Options {
    Member self;
    std::optional<ClusterId> found;   // found a new cluster; refused when `recovered` has a vote
    Trust found_trust;                // of the new cluster; as it is: an open one
    bool durable = false;             // has a data directory
    Capacity capacity;
    Duration heartbeat = milliseconds(5);
    Duration early_silence = milliseconds(12);
    Duration silence_floor = milliseconds(25);
    Duration silence_ceiling = milliseconds(300);
    Duration idle_epoch = milliseconds(50);  // how long a quiet torus waits before its next epoch
    std::uint64_t seed = 1;           // of back-off
    MachinePool* machines = nullptr;  // outlives the node; nullptr: the heap
  };
  BraidNode(const Options& options, Recovered recovered, Instant now);
  ~BraidNode();

  // --- In. ---
  /// `key`: what the link has proved; `ticket`: the one the peer has shown, if it is not admitted yet. Open cluster: none.
  void on_link_up(Instant now, const Member& peer, const PublicKey& key = {}, std::uint64_t ticket = 0);
  /// `proof_of_death`: the peer's process has gone (connection refused after a close, a robust futex), not just the link.
  void on_link_down(Instant now, NodeId peer, bool proof_of_death);
  /// The death of that life of a linked peer would be proved to us at once, whatever becomes of the link: its silence says little.
  void on_watched(Instant now, NodeId peer, std::uint64_t incarnation);
  void on_message(Instant now, NodeId from, const Envelope& envelope);
  void on_epoch_done(Instant now, TorusId torus, RunEpoch::Kind kind);
  void on_persisted(Instant now, std::uint64_t token);
  void on_deadline(Instant now);
  /// From now on on_deadline() may come this much later than next_deadline() asks, up to kRestMillisecondsMax; heartbeats say so, and
  /// nobody takes it for silence. Say it before the on_deadline() after which it may be so.
  void set_rest(Duration rest);
  /// Where this node is to be found now. A view that lets it in has these; one that has it already keeps what it has.
  void set_addresses(std::vector<std::string> addresses);
  /// A client's request; answered by poll_answer(), after two nodes (with data directories: two disks) hold it.
  void on_inject(Instant now, TorusId torus, Injection injection);
  /// Starts the next run once all hosts hold the scenario. kMalformed etc.: nothing happened.
  Result<void> on_load(Instant now, std::span<const std::byte> scenario);
  /// Asks for a view with `change`; repeated for kTrustWishLimit. Whether it came, view().trust.holds(change) tells.
  /// kNotFound: this node is no member. kMalformed: an open cluster has no tickets and keys; or it would lose all voters.
  Result<void> on_trust_change(Instant now, const TrustChange& change);
  /// The operator's word that the voters not heard will never return. Loud; only when every torus can be put together.
  Result<void> on_override(Instant now);

  // --- Out: drain after every call above. ---
  std::optional<Work> poll_work();
  /// Urgent messages come first, then answers that a torus waits for, then copies. `has_room` says whether a neighbour takes
  /// megabytes now: what is left is given out later, so that what becomes urgent meanwhile waits behind little.
  std::optional<Outgoing> poll_send(const std::function<bool(NodeId)>& has_room = {});
  std::optional<InjectAnswer> poll_answer();
  std::optional<BraidEvent> poll_event();
  std::optional<Instant> next_deadline() const;

  // --- Reading. ---
  BraidStatus status(Instant now) const;
  const View& view() const;
  bool is_member() const;
  /// The machine of a torus hosted here, between epochs; nullptr otherwise.
  const TorusMachine* machine(TorusId torus) const;
  /// What a torus hosted here put out before this tick may leave: the seals that it depends on are with two nodes, with data
  /// directories on two disks, and no failure within the promise takes it back. 0: nothing is known to be.
  Tick outputs_released(TorusId torus) const;
  /// Addresses worth dialling: members, and voters of the view before.
  std::vector<Member> peers_to_dial() const;
  const Bytes* scenario() const;
  /// Every packet accepted or made here, once each per torus and epoch, in epoch order: what `rse verify` replays. nullptr:
  /// no more.
  std::shared_ptr<const Packet> poll_sealed();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace rse
