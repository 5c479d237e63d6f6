// The shell around BraidNode: feeds it messages, results, answers of the disk and deadlines, and carries out what it asks
// for. Network, braid and heartbeats share one loop thread; epochs run on workers.h, disk writes on disk_writer.h.
// Threads: everything here on the loop's. Memory: bounded rings and queues. Errors: what an operator should know goes to
// the log and the incidents; a failed disk ends the node through `on_fatal`.
// Invariant: nothing on this thread waits for a disk, a resolver or a torus.
#pragma once

#include <array>
#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "node/control_record.h"
#include "node/discovery.h"
#include "node/disk_writer.h"
#include "node/link_history.h"
#include "node/rse_log.h"
#include "node/shell_life_sign.h"
#include "node/workers.h"
#include "torus/base/cut_epochs.h"
#include "torus/braid/new_machines.h"
#include "torus/watch/incident_teller.h"
#include "torus/watch/lattice_watch.h"
#include "transport/address_book.h"
#include "transport/address_watch.h"
#include "transport/monotonic_clock.h"
#include "transport/secure/trust_book.h"
#include "transport/transport.h"

namespace rse {

inline constexpr std::size_t kIncidentsMax = 256;
inline constexpr std::size_t kReportsOfPeerMax = 64;  // between two looks of the housekeeping; a failover takes some ten
inline constexpr std::size_t kPendingRequestsMax = 4096;

/// BraidEvent, what the shell itself has to report, and what other nodes have told; `kind` is rse.v1.IncidentRecord.Kind.
struct Incident {
  std::uint64_t number = 0;  // of this life of the node, from 1
  std::uint32_t kind = 0;
  Instant at{};
  std::uint64_t unix_nanoseconds = 0;
  NodeId node{};
  std::optional<TorusId> torus{};
  Epoch epoch{};
  std::string text{};
  NodeId by{};               // whose incident it is; 0: this node's own
};
inline constexpr std::uint32_t kIncidentLinkFailure = 100;
inline constexpr std::uint32_t kIncidentStorageFailure = 101;

class NodeShell {
 public:
  struct Options {
    BraidNode::Options braid;            // but for the machines
    std::uint64_t cut_epochs = kCutEpochsMax;  // between two cuts at most; the same for all nodes of a cluster
    std::vector<std::string> peers;      // dialled whatever the view says
    std::vector<std::string> listen;     // as the transports listen
    bool beacon = false;                 // says and hears who is there, on the interfaces listened on
    /// What `listen` came to when `self` was made, and is to be replaced in it when this machine's addresses change; none: what others
    /// are told was given by a person.
    std::vector<std::string> found_addresses;
    ClusterId cluster;                   // 0: none yet
    std::string data_directory;          // empty: none
    std::optional<NodeKey> key;          // none: of an open cluster
    std::optional<Ticket> ticket;        // to join with
  };
  struct Hooks {
    /// `book` is null in an open cluster.
    std::function<std::unique_ptr<Transport>(const Hello&, std::shared_ptr<const TrustBook> book, TransportCallbacks)> make_transport;
    /// The node cannot go on; called at most once. `why` names thing, cause and next step.
    std::function<void(const std::string& why)> on_fatal;
    std::function<void(const Incident&)> on_incident;
    /// The node became a member of a cluster.
    std::function<void(ClusterId)> on_cluster;
  };
  /// `directory` may be null: then the node is volatile and `recovered` empty.
  NodeShell(asio::io_context& loop, Options options, std::unique_ptr<DataDirectory> directory, Log& log,
            Hooks hooks);
  ~NodeShell();
  NodeShell(const NodeShell&) = delete;
  NodeShell& operator=(const NodeShell&) = delete;

  void start();
  /// Ends links, workers and disk writer, in this order; what was handed to the disk is written.
  void stop();

  // --- For the control API. ---
  BraidStatus status() const { return braid_->status(monotonic_now()); }
  const View& view() const { return braid_->view(); }
  const Member& self() const { return options_.braid.self; }
  const Capacity& capacity() const { return options_.braid.capacity; }
  std::uint64_t cut_epochs() const { return options_.cut_epochs; }
  const std::string& data_directory() const { return options_.data_directory; }
  ClusterId cluster() const { return cluster_; }
  bool encrypted() const { return options_.key.has_value(); }
  /// Of the present view; none: this node is not admitted, or the cluster is open.
  PublicKey cluster_key() const;
  std::vector<LinkStats> links() const { return transport_->stats(); }
  LinkHistory::RoundTrips round_trips(const LinkStats& link) const { return link_history_.of(link); }
  const std::deque<Incident>& incidents() const { return incidents_; }
  const SealRecord& record() const { return record_; }
  const Bytes* scenario() const { return braid_->scenario(); }
  std::uint64_t cuts_durable() const { return cuts_durable_; }
  /// When the newest cut became durable; nullopt: none since this process began.
  std::optional<Instant> cut_durable_at() const { return cut_durable_at_; }
  std::string name_of(NodeId node) const;
  /// How a member is reached, as far as is known now; of this node, how others reach it.
  std::vector<std::string> addresses_of(const Member& member) const { return addresses_.addresses_of(member); }

  using InjectCallback = std::function<void(const InjectAnswer&)>;
  /// False: too many requests wait. The callback may never come; the asker has its own time limit.
  bool inject(TorusId torus, Injection injection, InjectCallback callback);
  Result<void> load(std::span<const std::byte> scenario);
  Result<void> override_majority();
  /// Asks for a view with `change`, see BraidNode. The callback comes once, with whether there is one.
  using TrustCallback = std::function<void(bool done)>;
  Result<void> change_trust(const TrustChange& change, TrustCallback callback);
  /// Calls `read` with the machine of a torus hosted here at its next epoch boundary, perhaps at once; nullptr when it is
  /// not hosted here or reaches no boundary within kReadLimit.
  void read_machine(TorusId torus, std::function<void(const TorusMachine*)> read);
  /// Likewise with the digest of its state, computed on its worker.
  void read_state(TorusId torus, std::function<void(const StateDigest*)> read);
  /// Where a torus is busy, for people; asked several times a second, it also keeps its host looking. Without a sight `why` says
  /// what is missing, and `waiting` whether it is only time.
  struct Lattice {
    std::optional<LatticeSight> sight;
    std::string why;
    bool waiting = false;
  };
  Lattice look_at(TorusId torus);
  /// What a torus hosted here put out before this tick may be told to clients. Never goes back during a run.
  Tick outputs_released(TorusId torus);

 private:
  struct PendingTrustChange {
    TrustChange change;
    TrustCallback callback;
    Instant asked;
  };
  struct PendingInject {
    InjectCallback callback;
    Instant asked;
  };
  template <class F>
  struct Waiting {
    F call;
    Instant asked;
  };

  TransportCallbacks callbacks();
  void on_up(const Hello& hello);
  void on_failure(const std::string& address, const std::string& why);
  bool is_final(const std::string& address, const std::string& why) const;
  void on_death(NodeId peer, std::uint64_t incarnation);
  void on_message(NodeId from, std::span<const std::byte> bytes);
  void on_sight(NodeId from, Result<LatticeSight> sight);
  void on_report(NodeId from, Result<IncidentReport> report);
  void on_address_update(NodeId from, Result<AddressUpdate> update);
  void on_public_address(const std::string& before, const std::string& after);
  void watch_addresses();
  void look_at_addresses();
  void say_own_addresses(const std::string& event, const std::string& before, const std::string& after);
  bool has_family_of(const std::string& address) const;
  void tell_addresses();
  void refuse(NodeId from, Error cause);
  void on_done(const Workers::Done& done);
  void on_disk_failed(const StorageError& error);

  void pump();
  void carry_out(Work work);
  void send(const Outgoing& out);
  void send_sight(NodeId to, const LatticeSight& sight);
  void tell(const IncidentReport& report);
  void answer(const InjectAnswer& answer);
  void journal(const BraidEvent& event);
  void note(Incident incident);
  void forget_earlier_suspicion(NodeId peer);
  void arm_timer();
  void notice_cluster();
  Hello make_hello() const;
  std::shared_ptr<const TrustBook> make_book() const;
  void notice_view();
  void answer_trust_changes();
  void expire_requests();
  void flush_record();
  void update_dials();
  void discover();
  void keep_house();
  bool hosted_here(TorusId torus) const;

  asio::io_context& loop_;
  Options options_;
  Log& log_;
  Hooks hooks_;
  std::unique_ptr<DataDirectory> directory_;
  LatticeWatch lattices_;  // outlives the machines that write to it
  NewMachines machines_;
  std::unique_ptr<BraidNode> braid_;
  std::unique_ptr<Transport> transport_;
  std::unique_ptr<Workers> workers_;
  std::unique_ptr<DiskWriter> disk_;
  LifeSign life_sign_;
  LinkHistory link_history_;
  AddressBook addresses_;
  std::shared_ptr<AddressWatch> watch_;  // null: not possible
  bool has_v4_ = true, has_v6_ = true;   // this machine, an address that leads out
  std::optional<Discovery> discovery_;  // none: not wanted, or the cluster is open
  std::map<std::uint64_t, std::uint64_t> incarnations_;  // of peers, as they last connected
  asio::steady_timer timer_;
  asio::steady_timer house_timer_;
  std::optional<Instant> armed_;
  ClusterId cluster_;
  ViewNumber view_seen_;  // by the transport
  std::vector<PendingTrustChange> trust_changes_;
  bool stopped_ = false;
  bool pumping_ = false;
  std::size_t sent_in_turn_ = 0;  // bytes
  bool ever_linked_ = false;

  std::set<std::string> dialled_;
  std::multimap<std::pair<std::uint64_t, std::uint64_t>, PendingInject> injects_;
  std::array<std::vector<Waiting<std::function<void(const TorusMachine*)>>>, kTorusCount> reads_;
  std::array<std::vector<Waiting<std::function<void(const StateDigest*)>>>, kTorusCount> state_reads_;
  FirstEpochs first_epochs_;
  std::map<std::uint64_t, std::size_t> reports_heard_;  // of each peer, since the last look
  std::array<std::pair<RunId, Tick>, kTorusCount> outputs_released_{};
  std::deque<Incident> incidents_;
  std::uint64_t incident_count_ = 0;
  std::uint64_t cuts_durable_ = 0;
  std::optional<Instant> cut_durable_at_;
  std::uint64_t undecodable_count_ = 0;
  SealRecord record_;
  std::int64_t suspended_nanoseconds_ = 0;  // CLOCK_BOOTTIME minus CLOCK_MONOTONIC when last looked at
};

}  // namespace rse
