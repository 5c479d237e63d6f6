// A cluster in one process: real braid nodes over their real storage, with a simulated network, disks and a clock for each
// node, driven by one seed. The same seed and the same calls give the same run. Times are simulated nanoseconds.
// history.h checks everything that the nodes publish as it comes.
// Threads: one. Memory: the history, what is on its way, the disks. Errors: broken() is the first broken promise.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "node/storage/data_directory.h"
#include "node/storage/simulated_files.h"
#include "tests/sim/history.h"

namespace rse::sim {

struct SimOptions {
  std::uint64_t seed = 1;
  std::size_t nodes = 3;
  std::size_t observers = 0;              // the last ones of `nodes`: without disks, and nothing may depend on them
  bool durable = false;
  std::uint32_t drop_percent = 0;         // of messages, everywhere
  std::uint32_t codec_percent = 0;        // of messages that go through the codec on their way
  bool encrypted = false;                 // the cluster pins keys and admits by ticket
  bool one_machine = false;               // the nodes are told at once of each other's death
  Duration latency_max{200'000};
  Duration epoch_work_max{300'000};       // of a worker, for one epoch
  Duration disk_wait_max{1'500'000};      // for one batch of writes
  std::uint64_t cut_epochs_max = 256;
  std::uint64_t actions_max = ~0ull;      // more: it is busy for ever, which is a broken promise
  Capacity capacity{.events = 1u << 13, .edges = 1u << 12, .processes = 512, .outbox_events = 1u << 12};
};

/// How a process ends.
enum class Death : std::uint8_t {
  kProcess,  // SIGKILL: links close, the others are told; the disk keeps even what was not synced
  kMachine,  // power: silence; what was not synced shares `fate`
};

/// One direction between two nodes.
struct Link {
  std::uint32_t blocked = 0;  // reasons for which nothing passes
  std::uint32_t drop_percent = 0, duplicate_percent = 0, reorder_percent = 0;
  Duration delay{};           // on top of the latency
  bool hostile = false;       // bytes are changed on the way
  std::uint64_t last_arrival = 0;
  std::uint64_t last_notice = 0;  // of the receiver, that its link with the sender is up or down
};

class Simulation {
 public:
  explicit Simulation(const SimOptions& options);
  ~Simulation();

  // --- Faults and inputs, at the present moment. ---
  void start(std::size_t node);                 // the first founds, others join; a killed one restarts
  void kill(std::size_t node, Death death = Death::kProcess, UnsyncedFate fate = UnsyncedFate::kTorn);
  /// After it has sent `count` more messages; a node without a disk only if may_lose() says so then.
  void kill_at_message(std::size_t node, std::uint64_t count) { nodes_[node].dies_after_messages = count; }
  void kill_at_write(std::size_t node, std::uint64_t count);
  void fail_disk_at(std::size_t node, std::uint64_t count, int error);
  void lose_disk(std::size_t node);             // of a node that is down: it comes back as a new one
  /// Of a node that is down: damages bits of one block of one of its files. Whoever finds that at start, starts empty, as he
  /// is told.
  void corrupt_disk(std::size_t node, std::uint32_t bits);
  void block(std::size_t from, std::size_t to); // silently; counted
  void unblock(std::size_t from, std::size_t to);
  void cut(std::size_t a, std::size_t b);       // both directions
  void heal(std::size_t a, std::size_t b);
  void break_link(std::size_t a, std::size_t b);  // both ends see it close, without proof of a death
  void connect(std::size_t a, std::size_t b);
  void pause(std::size_t node, bool clock_stops = false);  // nothing runs, nothing is lost
  void resume(std::size_t node);
  /// From its next deadline on it is called this much later than it asks; `announced`: and it says so.
  void set_rest(std::size_t node, Duration rest, bool announced = true);
  void jump_clock(std::size_t node, Duration ahead);
  void set_clock_rate(std::size_t node, std::int32_t parts_per_million);
  void set_slowness(std::size_t node, std::uint32_t factor);       // of its workers; its loop lags too
  void set_disk_slowness(std::size_t node, std::uint32_t factor);
  void set_epoch_work_max(Duration span) { options_.epoch_work_max = span; }
  Link& link(std::size_t from, std::size_t to) { return links_[from * nodes_.size() + to]; }
  void load(const Scenario& scenario);  // at the first node that can
  void load(std::size_t node, const Scenario& scenario);
  /// A client's request at `node`; counted as acknowledged when the answer comes.
  void request(std::size_t node, TorusId torus, const Injection& injection);
  /// An event of a client of its own.
  void inject(std::size_t node, CellId cell, std::int32_t payload);
  /// Calls on_user(argument) after `delay`.
  void after(Duration delay, std::uint64_t argument);
  std::function<void(std::uint64_t argument)> on_user;
  std::function<void(const InjectAnswer&)> on_answer;

  // --- Running. ---
  bool step();                                  // one action; false: nothing left
  void run_for(Duration span);
  /// Runs until `done` (asked every simulated millisecond) or `limit` has passed; whether it was done.
  bool run_until(const std::function<bool()>& done, Duration limit);

  std::size_t size() const { return nodes_.size(); }
  std::uint64_t now() const { return now_; }
  NodeId id(std::size_t node) const { return nodes_[node].id; }
  bool alive(std::size_t node) const { return nodes_[node].braid != nullptr; }
  bool paused(std::size_t node) const { return nodes_[node].paused; }
  const BraidNode& node(std::size_t node) const { return *nodes_[node].braid; }
  BraidStatus status(std::size_t node) const;
  bool healthy() const;                         // all living nodes are members and agree that nothing is missing
  bool observes(std::size_t node) const { return node + options_.observers >= nodes_.size(); }
  /// Whether the product promises that `victim` may lose its memory, or its disk, now: all members of the newest view that may
  /// host are here, hear each other and say that any one may fail. Of an observer, always.
  bool may_lose(std::size_t victim) const;
  /// The newest view of any living node; nullptr: none.
  const View* newest_view() const;
  /// What `node` has published to its record: gaps since it started, also before the first epoch of a run; and up to where.
  std::uint64_t record_gaps(std::size_t node) const { return nodes_[node].record_gaps; }
  Epoch recorded(std::size_t node, TorusId torus) const { return nodes_[node].recorded[torus.raw].second; }
  Epoch epoch() const { return history_.epoch(); }
  History& history() { return history_; }
  const History& history() const { return history_; }
  /// Compares clients' answers and machines' states with the reference; empty, or the first broken promise.
  std::string verify();
  std::size_t acknowledged() const { return history_.acknowledged(); }
  std::uint64_t messages() const { return messages_; }
  std::uint64_t actions() const { return actions_done_; }
  std::uint64_t hostile_refused() const { return hostile_refused_; }
  std::size_t retained_bytes_max() const;
  std::string why_not_healthy() const;

  void keep_story(bool print) { telling_ = true, printing_ = print; }
  bool telling() const { return telling_; }
  void say(const std::string& line);
  std::string story() const;

 private:
  enum class ActionKind : std::uint8_t { kMessage, kDeadline, kEpochDone, kLinkUp, kLinkDown, kDiskBegin, kDiskEnd, kDie, kUser };
  struct Action {
    std::uint64_t at = 0;
    std::uint64_t order = 0;
    std::uint64_t argument = 0;  // a place in mail_, a torus, a peer, or of the user
    std::uint32_t life = 0;      // of the node; another one: too late
    std::uint8_t node = 0;
    ActionKind kind{};
    bool flag = false;
    bool operator<(const Action& other) const {  // of a heap with the earliest on top
      return at != other.at ? at > other.at : order > other.order;
    }
  };
  struct Mail {
    NodeId from;
    Envelope envelope;
  };
  struct Node {
    NodeId id;
    std::uint64_t incarnation = 0;
    std::uint32_t life = 0;
    std::unique_ptr<BraidNode> braid;
    std::unique_ptr<SimulatedDisk> disk;
    std::unique_ptr<DataDirectory> directory;
    std::deque<Persist> unwritten;
    std::vector<Persist> batch;        // being written
    bool batch_done = false;           // its bytes are there, its answer is not
    bool paused = false, clock_stopped = false;
    std::vector<Action> stalled;       // while paused
    std::uint64_t clock_base = 0, local_base = 0;
    std::int64_t rate = 0;             // parts per million that its clock is fast
    std::uint64_t armed = 0;           // 0: no timer
    Duration rest;
    std::uint64_t dies_after_messages = ~0ull;
    std::uint32_t slowness = 1, disk_slowness = 1;
    std::array<std::uint64_t, kTorusCount + 1> worker_free{};  // the last one hashes cuts
    std::array<History::Cut, kTorusCount> cut;                // of each torus, taken and not hashed yet
    ViewNumber view_seen;
    std::array<std::pair<RunId, Epoch>, kTorusCount> recorded{};  // the next epoch
    std::uint64_t record_gaps = 0;
    bool cluster_known = false;
  };

  void push(std::uint64_t at, ActionKind kind, std::size_t node, std::uint64_t argument = 0, bool flag = false);
  void perform(const Action& action);
  void deliver(Node& node, std::size_t index, std::uint64_t mail);
  Instant local(const Node& node) const;
  void restart_clock(Node& node);
  void arm(std::size_t index);
  void note_recorded(Node& node, const Packet& packet);
  void drain(std::size_t index);
  void carry_out(std::size_t index, const RunEpoch& work);
  void on_worker_done(Node& node, std::uint64_t what);
  bool send(std::size_t index, Outgoing& out);  // false: the sender has died of it
  void post(std::size_t from, std::size_t to, Envelope envelope);
  bool through_codec(Envelope& envelope, bool hostile);
  void begin_batch(std::size_t index);
  void overtake_cut(std::size_t index);
  void end_batch(std::size_t index);
  bool write_batch(Node& node);
  bool open_directory(std::size_t index, Recovered& recovered);
  void notify(std::size_t node, std::size_t peer, ActionKind kind, std::uint64_t argument, bool proof_of_death = false);
  void link_up(Node& node, std::size_t peer);
  bool connected(std::size_t a, std::size_t b) { return link(a, b).blocked == 0 && link(b, a).blocked == 0; }
  Duration latency() { return {20'000 + random_.below(static_cast<std::uint32_t>(options_.latency_max.raw))}; }
  std::size_t index_of(NodeId id) const;
  Member member_of(std::size_t index) const {
    return {nodes_[index].id, nodes_[index].incarnation, name_of(index), {}, observes(index) ? Role::kObserver : Role::kHost};
  }
  std::string name_of(std::size_t index) const { return std::string(1, static_cast<char>('a' + index)); }

  SimOptions options_;
  Random random_;
  std::uint64_t now_ = 1'000'000'000;
  std::uint64_t order_ = 0;
  std::uint64_t messages_ = 0, actions_done_ = 0, hostile_refused_ = 0;
  std::vector<Action> actions_;  // a heap
  std::vector<Mail> mail_;
  std::vector<std::uint64_t> mail_free_;
  std::vector<Node> nodes_;
  std::vector<Link> links_;
  bool cluster_exists_ = false;
  std::uint64_t next_node_id_ = 100;
  std::uint64_t next_client_ = 1000;
  History history_;
  bool telling_ = false, printing_ = false;
  std::string story_;
};

/// A small scenario with everything in it: PHOLD across tori, relays with coupling, counters.
Scenario busy_scenario(std::uint64_t seed);

}  // namespace rse::sim
