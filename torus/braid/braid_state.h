// The inside of BraidNode, shared by the files that implement its parts:
// braid_node.cc (links, messages, heartbeats), braid_running.cc (epochs, seals, clients), braid_cuts.cc (cuts and shards),
// braid_views.cc (suspicion, the next view), braid_calm.cc (when neither is asked), braid_agreement.cc (deciding and installing
// it), braid_gather.cc (asking for a torus), braid_rebuild.cc (restore, hand-over, resumption), braid_scenario.cc (runs), braid_status.cc.
// Not for anyone else.
#pragma once

#include <algorithm>
#include <bitset>
#include <deque>
#include <functional>
#include <map>
#include <set>

#include "torus/base/fifo.h"
#include "torus/braid/braid_node.h"
#include "torus/braid/packet_log.h"
#include "torus/braid/planted_fault.h"
#include "torus/braid/view_agreement.h"

namespace rse {

inline constexpr std::size_t kWaitingInjectionsMax = 1u << 16;  // per torus and node; then kTooMany
inline constexpr std::size_t kCutBytesMax = kRegionBytesMax;    // of a cut that somebody sends us
inline constexpr Duration kRecoveryMax = milliseconds(1000);   // of a link after an outage
inline constexpr std::uint64_t kOldBatch = 2;                   // inputs of c - 1 and c are kept with cut c + 1

struct PeerState {
  Member member;
  ViewNumber member_since;    // its words of earlier views do not count
  bool linked = false;
  bool dead = false;          // proof of death of this incarnation
  bool watched = false;       // such a proof would come at once, whatever its links do
  bool said_suspected = false, said_lost = false;
  Instant heard;              // last message of any kind, relayed ones too
  Instant heard_directly;
  Instant closed_at;          // its link, last
  std::uint64_t gap_max = 0;  // ns; the longest recent silence on the link, decaying
  Instant steady_from;        // gaps before that are of an outage that has just ended
  std::optional<Heartbeat> heartbeat;
  Instant decided_sent;
  std::optional<Holdings> holdings;
  Instant holdings_at;
  PublicKey key;              // that its link proved
  std::uint64_t ticket = 0;   // that it showed
  std::array<Epoch, kTorusCount> sent_through{};  // first epoch of each hosted torus not yet sent to it
  std::array<Instant, kTorusCount> sent_at{};
  std::array<Duration, kTorusCount> resend_after{};
};

/// Where a shard of a hosted torus's cuts has to be.
struct Holder {
  NodeId node;
  Halves halves = 0;
  CutNumber acked = 0;
  CutNumber sent = 0;
  Instant sent_at;
};

struct GatherSource {
  bool done = false;
  ViewNumber view;  // of the answer
  bool refused = false;
  std::uint32_t region_messages = 0, packet_messages = 0, seal_messages = 0;
  RegionBuilder builder;
  std::vector<PacketPtr> packets;
};
using GatheredChains = std::array<std::vector<PacketPtr>, kTorusCount>;

/// An answer under way: what the sources have sent so far for one torus.
struct GatherState {
  std::uint64_t request = 0;
  ViewNumber view;  // 0: speculative
  bool with_cut = true;
  bool everything = false;
  CutNumber cut_wanted = 0;
  std::map<NodeId, GatherSource> sources;
  std::vector<std::pair<CutNumber, CutRegions>> cuts;
  std::map<CutNumber, Halves> cuts_held;  // what the sources have, between them
  std::size_t region_bytes = 0;           // received
  std::map<Epoch, SealedEpoch> seals;
  Instant started;
  Instant retry_at;
  bool complete() const {
    if (planted(Fault::kOneGatherAnswerIsEnough)) {
      return sources.empty() || std::any_of(sources.begin(), sources.end(), [](const auto& source) { return source.second.done; });
    }
    return std::all_of(sources.begin(), sources.end(),
                       [](const auto& source) { return source.second.done && !source.second.refused; });
  }
};

/// What a node has decided to answer to a Gather, and how far it has been sent.
struct GatherAnswer {
  NodeId to;
  bool with_cut = false;  // asked for
  CutNumber cut = 0;
  std::vector<Digest256> digests;
  std::optional<RegionSender> regions;  // still to be sent
  std::vector<PacketPtr> packets;
  std::size_t next_packet = 0;
  std::vector<SealedEpoch> seals;
  std::size_t next_seal = 0;
  GatherDone done;
};

struct ReturnMachine {
  MachinePool* pool = nullptr;
  void operator()(TorusMachine* machine) const { pool ? pool->give(machine) : delete machine; }
};
using MachinePtr = std::unique_ptr<TorusMachine, ReturnMachine>;
/// A machine that is restored from a cut while the cut arrives.
struct Restoring {
  CutNumber cut = 0;
  RegionDigests digests;
  std::bitset<kRegionCount> given;  // to the worker
};

/// A torus hosted here, or being got ready to be.
struct HostedTorus {
  MachinePtr machine;
  bool working = false;       // a worker has the machine
  bool discard = false;       // drop it when the worker gives it back
  bool put_together = false;  // all is here that the machine is restored from; it may not be ready yet
  bool restored = false;      // the machine has a state
  bool official = false;      // the view names us and all that must answer have: may seal and send
  ViewNumber since;           // view for which it is official or being made so
  bool replaying = false;     // epochs that the host before had already sealed
  Epoch replay_until;
  bool cut_due = false;
  Epoch last_sealed;
  CutNumber cut_taken = 0;    // newest cut that may be copied, or that it was restored from
  bool cut_not_held = false;  // `last_taken`, of number `taking_number`: no other host holds all seals in it yet
  Epoch held_by_another;      // another host has to hold all seals before, until then the torus is not settled
  CutNumber held_from = 0;    // the oldest cut of which the present holders have all; 0: they have the run from its start
  std::vector<Holder> holders;
  bool persisted_cut = true;  // newest own cut is on our own disk
  ViewNumber settled_in;      // the view in which settled_here() became true
  std::optional<GatherState> gather;
  std::optional<GatherState> fence;  // the view's own question, asked while the speculative gather is still under way
  std::optional<Restoring> restoring;
  CutRegions chosen;                 // put_together: the cut that it is restored from
  bool official_when_idle = false;  // the gather that makes it official is complete, a worker still has the machine
  std::uint32_t catch_up_rounds = 0;
  Instant take_over_asked;
  Instant idle_since;
  //  taking null --take_cut()--> machine works on it --hash_cut()--> hashing --cut_taken()--> null, last_taken is it
  std::shared_ptr<CutRegions> taking;
  CutNumber taking_number = 0;
  bool hashing = false;
  std::shared_ptr<const CutRegions> last_taken;  // of this machine: what has not changed since is shared with it
  std::shared_ptr<ReplayResult> replayed;
  std::shared_ptr<std::optional<Error>> failure;
  std::deque<std::pair<Injection, NodeId>> waiting;  // accepted, not sealed; and who asked
  std::map<Epoch, std::vector<std::pair<Injection, NodeId>>> unanswered;  // sealed, not yet held by two
};

/// A client's request that entered here, kept until it is answered.
struct ClientRequest {
  TorusId torus;
  Injection injection;
  NodeId sent_to;
  Instant sent_at;
};

struct ShardAssembly {
  CutNumber cut = 0, base = 0;
  std::uint32_t next_part = 0;
  std::size_t bytes = 0;
  RegionBuilder builder;
  CutRegions regions;
};

struct ScenarioBlob {
  Bytes bytes;
  Digest256 hash;
  bool whole = false;
  bool held = false;  // whole, and on disk where there is one
  std::set<NodeId> holders;
  std::uint64_t order = 0;  // of those offered to this node, the later the larger
};
inline constexpr std::size_t kOffersMax = 4;  // kept besides the present run's scenario: any of them may be in a view under way

/// What an operator asked for here, repeated to the voters until a view fulfils it.
struct OwnWish {
  TrustChange change;
  Instant asked, sent;
};

struct BraidNode::Impl {
  Impl(const Options& options, Recovered recovered, Instant now);

  // --- braid_node.cc: links, messages, heartbeats, work. ---
  void on_link_up(Instant now, const Member& peer, const PublicKey& key, std::uint64_t ticket);
  void on_link_down(NodeId peer, bool proof_of_death);
  void on_message(NodeId from, const Envelope& envelope);
  void dispatch(NodeId from, const Message& message);
  void on_heartbeat(NodeId from, const Heartbeat& heartbeat);
  void on_deadline();
  void settle();  // after every input: run what can run, propose what must be, flush what is owed
  void send(NodeId to, Message message);
  bool bulk_waits(NodeId to, std::optional<TorusId> shard_of) const;
  /// How long it has been silent, beyond the rest that either end has announced: while this node rests it hears late.
  Duration rest(const PeerState& state) const;
  Duration silence(const PeerState& state) const { return elapsed(state.heard + rest(state), now); }
  Duration direct_silence(const PeerState& state) const { return elapsed(state.heard_directly + rest(state), now); }
  bool link_works(const PeerState& state) const;
  NodeId relay_to(NodeId to) const;  // 0: none
  NodeId route(NodeId to) const;  // 0: no way
  void heartbeat_to(NodeId to, const Heartbeat& beat);
  Heartbeat make_heartbeat();
  void persist(std::variant<PersistVote, PersistCut, PersistSeals, PersistScenario, DropCuts> what,
               std::function<void()> then);
  void event(BraidEvent::Kind kind, std::string text, NodeId node = {},
             std::optional<TorusId> torus = {}, Epoch epoch = {});
  PeerState& peer(NodeId node) { return peers[node]; }
  const Member* member_of(NodeId node) const { return view.find(node); }
  bool am_member() const { return view.is_member(self.node, self.incarnation); }
  bool am_voter() const { return view.is_voter(self.node); }
  std::string name_of(NodeId node) const;
  bool is_host(NodeId node) const;
  bool is_holder(NodeId node) const;

  // --- braid_views.cc ---
  Duration silence_limit(const PeerState& state) const;
  Duration early_silence(const PeerState& state) const;
  bool suspected_early(const Member& member) const;
  bool suspected_early(const Member& member, const PeerState& state) const;
  bool lost(const Member& member) const;
  bool lost(const Member& member, const PeerState& state) const;
  bool majority_agrees_lost(const Member& member) const;
  bool majority_of_voters_heard() const;
  std::optional<View> desired_view();
  std::optional<View> resumption_view();
  std::optional<CutNumber> cut_to_resume_from(const std::vector<Holdings>& present, View& next) const;
  Result<void> override_majority();
  bool needs_resumption() const;
  bool place_tori(View& next) const;
  void settle_voters(View& next) const;
  void consider_views();
  void start_agreement();
  void prepare_ahead();
  void ask_to_accept(const Accept& accept);
  std::optional<View> undecided_view() const;
  bool next_view_is_open() const;
  void persist_vote(std::function<void()> then);
  void to_voters(const Message& message);
  void on_prepare(NodeId from, const Prepare& prepare);
  void on_promise(NodeId from, const Promise& promise);
  void on_reject(NodeId from, const Reject& reject);
  void on_accept(NodeId from, const Accept& accept);
  void on_accepted(NodeId from, const Accepted& accepted);
  void on_decided(const Bytes& view);
  void install(View next);
  Holdings make_holdings() const;

  // --- braid_calm.cc ---
  static bool is_routine(const Message& message);
  bool voters_are_settled() const;
  bool tori_are_settled() const;
  Instant calm_limit() const;
  void attend() { calm_until = {}; }  // after any change of what calm_limit() reads, but that a peer was heard

  // --- braid_trust.cc ---
  bool is_newcomer(NodeId node) const;
  bool may_vote(NodeId node) const;
  bool may_see(NodeId to, const View& carried) const;
  void send_view(NodeId to, const Message& message, const Bytes& carried);
  void send_decided(NodeId to, const View& decided);
  void on_join(NodeId from, Join join);
  void on_trust_wish(NodeId from, const TrustChange& change);
  Result<void> ask_trust_change(const TrustChange& change);
  void repeat_trust_wishes();
  bool apply_trust_wishes(View& next, bool others_are_lost);
  bool make_room_to_admit(View& next) const;
  bool may_forget(const View& next, NodeId node, bool others_are_lost) const;

  // --- braid_running.cc ---
  void advance(TorusId torus);
  bool idle_wait(TorusId torus);
  bool replay_known(TorusId torus);
  void on_epoch_done(TorusId torus, RunEpoch::Kind kind);
  void finish_epoch(TorusId torus);
  void finish_replay(TorusId torus);
  void note_sealed(TorusId torus, Epoch epoch);
  void alarm(TorusId torus, Epoch epoch, const std::string& text);
  void publish(TorusId torus, const PacketPtr& packet);
  void send_packet(NodeId to, TorusId torus, const PacketPtr& packet);
  void resend(NodeId to);
  void on_packet(NodeId from, const PacketMessage& message);
  void keep_seal(const Packet& packet);
  void record_held();
  void flush_seals();
  void accept_injection(TorusId torus, const Injection& injection, NodeId origin);
  void on_inject(TorusId torus, Injection injection);
  void on_inject_answer(const InjectAnswer& answer);
  void forward_requests();
  void release_answers();
  bool another_holds(TorusId torus, Epoch end, bool on_disk) const;
  bool is_fixed(Epoch epoch) const;
  Tick outputs_released(TorusId torus) const;

  // --- braid_cuts.cc ---
  void take_cut(TorusId torus);
  void hash_cut(TorusId torus);
  void cut_taken(TorusId torus);
  void release_cut(TorusId torus);
  void keep_needed_cuts(TorusId torus);
  void persist_own_cut(TorusId torus);
  void persist_cut(PersistCut record, std::function<void()> then);
  Halves lasting_halves(TorusId torus, CutNumber cut) const;
  void assign_holders(TorusId torus);
  bool rebuilding() const;
  void ship(TorusId torus);
  void send_shard(TorusId torus, Holder& holder);
  void on_shard_part(NodeId from, const ShardPart& part);
  void on_shard_ack(NodeId from, const ShardAck& ack);
  bool cut_is_complete(TorusId torus) const;
  bool holders_have_it() const;
  CutNumber cut_everywhere() const;
  void update_durable();
  Epoch wanted_by_observers(TorusId torus, Epoch oldest) const;
  bool protected_now() const;
  bool settled_here(TorusId torus) const;
  bool all_settled() const;
  void settle_holders(View& next) const;
  std::vector<NodeId> missing_holders() const;

  // --- braid_rebuild.cc ---
  void begin_hosting(TorusId torus);
  void drop_hosted(TorusId torus);
  MachinePtr make_machine(TorusId torus) const;
  CutNumber resumption_cut(TorusId torus) const;
  void consider_staging();
  enum class GatherScope : std::uint8_t { kWhatIsMissing, kEverything };
  void start_gather(TorusId torus, bool speculative, CutNumber cut_wanted, GatherScope scope = GatherScope::kWhatIsMissing);
  void gather_officially(TorusId torus);
  GatherState make_gather(TorusId torus, bool speculative, CutNumber cut_wanted);
  GatherState* find_gather(TorusId torus, std::uint64_t request);
  std::vector<HeldCut> cuts_held_here(TorusId torus) const;
  void send_gather(TorusId torus, const GatherState& state, NodeId to);
  void on_gather(NodeId from, const Gather& gather);
  void continue_gather_answer();
  void on_gather_regions(NodeId from, const GatherRegions& regions);
  void on_gather_packet(NodeId from, const GatherPacket& packet);
  void on_gather_seals(NodeId from, const GatherSeals& seals);
  void on_gather_done(NodeId from, const GatherDone& done);
  void retry_gather(TorusId torus);
  void ask_again(TorusId torus, GatherState& gather);
  void gather_complete(TorusId torus);
  CutNumber older_cut(TorusId torus, const GatherState& gather) const;
  std::optional<CutNumber> best_cut(TorusId torus, const GatherState& gather, const GatheredChains& chains,
                                    CutRegions& out) const;
  bool packet_counts(TorusId gathered, TorusId torus, ViewNumber answered_in) const;
  GatheredChains gathered_chains(TorusId torus) const;
  void gathered(TorusId torus, const GatheredChains& chains);
  void merge_gathered(TorusId torus, const GatheredChains& chains);
  void forget_machine(TorusId torus);
  bool logs_reach(TorusId torus) const;
  void begin_again(TorusId torus);
  void begin_restore(TorusId torus, CutNumber cut, const RegionDigests& digests);
  void feed_restore(TorusId torus);
  void restored(TorusId torus);
  void become_official(TorusId torus);
  void on_take_over(NodeId from, const TakeOver& take_over);

  // --- braid_scenario.cc ---
  Result<void> on_load(std::span<const std::byte> bytes);
  ScenarioBlob& new_offer(ScenarioBlob blob);
  void send_scenario(NodeId to, const Digest256& hash);
  void on_scenario_part(NodeId from, const ScenarioPart& part);
  void on_scenario_held(NodeId from, const ScenarioHeld& held);
  void on_scenario_wanted(NodeId from, const ScenarioWanted& wanted);
  void scenario_whole(ScenarioBlob& blob);
  void load_machine(TorusId torus);
  void want_scenario();

  // --- braid_status.cc ---
  BraidStatus status(Instant at) const;
  std::string hanging_on_one() const;

  const Options options;
  Member self;
  Instant now;
  Instant last_deadline;
  Random random{1};

  View view;                  // number 0: none
  bool restarted = false;     // came back with a vote, not admitted again yet
  ViewAgreement agreement;
  Instant propose_deadline, propose_not_before;
  std::optional<Instant> desired_since;
  std::map<NodeId, std::pair<Join, Instant>> joiners;
  std::vector<std::pair<TrustChange, Instant>> trust_wishes;  // heard by this voter
  std::vector<OwnWish> own_wishes;                            // of operators that asked here
  std::map<NodeId, std::pair<TakeOver, Instant>> take_overs;
  bool overridden = false;
  Instant installed_at;       // the present view
  Instant calm_until;         // nothing is to be decided about views before; 0: look
  std::array<ViewNumber, kTorusCount> hosted_since_before{};  // in the view before, if none was missed; else as in this one

  std::map<NodeId, PeerState> peers;
  std::uint64_t heartbeat_sequence = 0;
  std::uint32_t rest_milliseconds = 0;
  Instant next_heartbeat, next_join;
  std::set<NodeId> owed_acks;

  std::array<PacketLog, kTorusCount> logs;
  std::array<std::map<Epoch, SealedEpoch>, kTorusCount> fixed_seals;  // from disks: replayed before any new one
  std::array<Epoch, kTorusCount> durable_through{};                   // seals on our disk
  std::vector<RecoveredSeal> seals_to_persist;
  bool persisting_seals = false;
  Instant seals_flushed;
  std::array<CutNumber, kTorusCount> cut_complete{};
  CutNumber durable_cut = 0;
  std::array<std::map<CutNumber, CutRegions>, kTorusCount> cuts;      // own ones whole, others' shards
  struct OnDisk { Halves halves = 0; ViewNumber resumed; };
  std::array<std::map<CutNumber, OnDisk>, kTorusCount> cuts_on_disk;  // of `cuts`, what our disk has for certain
  std::map<std::pair<NodeId, TorusId>, ShardAssembly> assemblies;
  std::array<std::unique_ptr<HostedTorus>, kTorusCount> hosted;
  // Machines that were dropped while a worker had them; workers give back in order.
  std::array<std::deque<MachinePtr>, kTorusCount> dropped;
  std::array<std::size_t, kTorusCount> hashes_under_way{};  // of cuts that may have been dropped meanwhile
  std::uint64_t request_counter = 0;
  std::map<std::pair<ClientId, std::uint64_t>, ClientRequest> requests;

  std::map<Digest256, ScenarioBlob> scenarios;  // the current run's, and offered ones
  std::uint64_t offers_seen = 0;
  ViewNumber logs_as_of;  // the last view that counted on what this node holds: others may have gone on without it since
  std::optional<Digest256> offered;             // newest offer, not started yet
  std::shared_ptr<const Scenario> scenario_parsed;
  Instant scenario_asked;

  std::deque<Work> work_out;
  Fifo<Outgoing> send_out;   // heartbeats, votes, packets: before anything in bulk_out
  Fifo<Outgoing> gather_out; // answers to gathers: a torus waits for them
  Fifo<Outgoing> bulk_out;   // shards, scenarios
  std::deque<GatherAnswer> gather_answers;
  std::deque<InjectAnswer> answers_out;
  std::deque<BraidEvent> events_out;
  std::deque<PacketPtr> sealed_out;
  std::array<Epoch, kTorusCount> sealed_recorded{};
  Fifo<std::pair<NodeId, Message>> to_self;
  std::map<std::uint64_t, std::function<void()>> persisting;
  std::uint64_t token = 0;
  std::uint64_t messages_refused = 0;
  std::map<std::string, Instant> alarms_said;
};

inline constexpr std::array<TorusId, kTorusCount> kTori = {TorusId{0}, TorusId{1}, TorusId{2}};

}  // namespace rse
