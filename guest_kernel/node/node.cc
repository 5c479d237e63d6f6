#include "guest_kernel/node/node.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "guest_kernel/arch/x86_64/clock.h"
#include "guest_kernel/arch/x86_64/cpu.h"
#include "guest_kernel/drivers/firmware_config.h"
#include "guest_kernel/node/log.h"
#include "guest_kernel/node/shared_memory.h"
#include "guest_kernel/node/udp_carrier.h"
#include "guest_kernel/node/worker.h"
#include "guest_kernel/runtime/entropy.h"
#include "torus/braid/new_machines.h"
#include "torus/watch/incident_teller.h"
#include "torus/watch/lattice_watch.h"
#include "transport/address_book.h"
#include "transport/codec/codec.h"

namespace rse::kernel {
namespace {

constexpr Duration kHouseInterval = milliseconds(20);        // while somebody is there with whom there is no link yet
constexpr Duration kQuietHouseInterval = milliseconds(500);  // otherwise interrupts say what is new
constexpr std::size_t kKeyBytes = 32;

/// An emulated processor shares a core with others and may be away for a while, and each time it wakes costs a millisecond
/// of one. So it rests once nothing has been said that is new for a while, and for longer after a change of links or views,
/// when repetitions must not be late: deadlines come seldom, and neighbours wake it only for what is urgent. Its heartbeats
/// say so, lest its silence count.
struct Timing {
  Duration heartbeat, early_silence, silence_floor, resting_interval;
};
/// Deaths are known without waiting for silence: the doorbell server takes the presence of a guest that has gone.
constexpr Timing kOnSharedMemory{milliseconds(20), milliseconds(150), milliseconds(200), milliseconds(300)};
/// The others may be daemons, which wait for nobody longer than 300 ms unless they are told to.
constexpr Timing kOnNetwork{milliseconds(20), milliseconds(60), milliseconds(200), milliseconds(0)};
constexpr Duration kSilenceCeiling = milliseconds(1000);
constexpr Duration kAwakeAfterNews = milliseconds(60);
constexpr Duration kAwakeAfterChange = milliseconds(3000);
constexpr Duration kIdleEpoch = milliseconds(1000);
constexpr Duration kStrangersLimit = milliseconds(2000);
constexpr std::size_t kSendBytesPerTurn = 1u << 20;  // then heartbeats have their turn

/// Too frequent for a serial line that is polled.
bool is_quiet(BraidEvent::Kind kind) {
  return kind == BraidEvent::Kind::kCutDurable || kind == BraidEvent::Kind::kPeerSuspected || kind == BraidEvent::Kind::kPeerHeardAgain;
}

/// Whether there is something to do, for who says it and for who hears it. Epochs of a cluster that has nothing to do have
/// their own slow pace; what a heartbeat says is judged apart.
bool is_news(const Message& message) {
  if (const auto* const packet = std::get_if<PacketMessage>(&message)) return !packet->packet.projection.idle();
  return !std::holds_alternative<Heartbeat>(message);
}

/// What a heartbeat says that others act on. Epochs that have come and gone count only `with_epochs`.
auto words_of(const Heartbeat& beat, bool with_epochs) {
  using Epochs = std::array<Epoch, kTorusCount>;
  const auto& [view, run, sequence, hears, suspects, wanted, durable, cuts, running, progress, ready, settled, undecided, rest] = beat;
  const auto epochs = [&](const Epochs& all) { return with_epochs ? all : Epochs{}; };
  return std::make_tuple(view, run, hears, suspects, epochs(wanted), epochs(durable), cuts, epochs(running), ready, settled,
                         undecided);
}

/// What is behind an encrypted cluster; without a key it is an open one.
struct Identity {
  std::optional<NodeKey> key;
  std::optional<Ticket> ticket;
};

std::shared_ptr<const TrustBook> book_of(const Identity& identity, const View& view) {
  if (!identity.key) return nullptr;
  auto book = std::make_shared<TrustBook>(*identity.key);
  book->cluster = view.cluster;
  book->trust = view.trust;
  book->ticket = identity.ticket;
  return book;
}

Member self_of(const Options& options, const std::string& address) {
  Member self{.node = {options.id}, .incarnation = options.incarnation, .name = std::string(options.node), .addresses = {}};
  if (!address.empty()) self.addresses.push_back(address);
  return self;
}

const Timing& timing_of(const Options& options) { return options.net ? kOnNetwork : kOnSharedMemory; }

BraidNode::Options braid_options(const Options& options, const std::string& address, MachinePool& machines) {
  BraidNode::Options braid;
  braid.machines = &machines;
  braid.self = self_of(options, address);
  if (options.found != 0) braid.found = ClusterId{options.cluster};
  braid.seed = options.id ^ read_tsc();
  const Timing& timing = timing_of(options);
  braid.heartbeat = timing.heartbeat;
  braid.early_silence = timing.early_silence;
  braid.silence_floor = timing.silence_floor;
  braid.silence_ceiling = kSilenceCeiling;
  braid.idle_epoch = kIdleEpoch;
  return braid;
}

class Node final {
 public:
  Node(const Options& options, Carrier& carrier, Identity identity, const std::string& address)
      : carrier_(carrier),
        identity_(std::move(identity)),
        timing_(timing_of(options)),
        hello_{.cluster = {identity_.key ? 0 : options.cluster}, .self = self_of(options, address), .cut_epochs = options.cut_epochs},
        addresses_(hello_.self),
        lattices_({options.id}),
        machines_(options.cut_epochs),
        braid_(braid_options(options, address, machines_), {}, now()) {}

  ExitCode run() {
    if (!worker_.start()) {
      log_line("node: there is no memory for a second thread; give the machine more (qemu -m)");
      return ExitCode::kFailed;
    }
    const InterruptHandler give_back = [](Frame& frame, void* self) { static_cast<Node*>(self)->worker_.give_back(frame); };
    on_alarm(give_back, this);
    if (const char* const wrong = carrier_.start(hello_, callbacks(), give_back, this)) {
      log_line("node: ", wrong);
      return ExitCode::kFailed;
    }
    while (!finally_refused_) {
      const bool more = turn();
      if (!more) sleep();
    }
    return ExitCode::kFailed;
  }

 private:
  /// True: there is more to do at once.
  bool turn() {
    bool more = carrier_.turn();
    hear_beats();
    while (const std::optional<Worker::Done> done = worker_.take_done()) {
      if (done->kind == RunEpoch::Kind::kRun && hosted_here(done->torus)) {
        lattices_.on_boundary(now(), done->machine->torus());
        const auto first = first_epochs_.on_epoch(done->torus, hello_.self.node, done->machine->next_epoch());
        if (first) report(*first);
      }
      braid_.on_epoch_done(now(), done->torus, done->kind);
    }
    if (const auto due = next_due(); due && *due <= now()) {
      last_due_ = now();
      said_rest_ = timing_.resting_interval.raw != 0 && last_due_ + timing_.heartbeat >= awake_until_;
      braid_.set_rest(said_rest_ ? timing_.resting_interval : Duration{});
      braid_.on_deadline(last_due_);
    }
    if (now() >= next_house_) {
      carrier_.look_after();
      addresses_.begin_turn();
      tell_addresses();
      next_house_ = now() + (carrier_.complete() ? kQuietHouseInterval : kHouseInterval);
    }
    const bool sent = pump();
    notice_view();
    return sent || more;
  }

  /// Whom the new view trusts, what cluster it is, and where its members are.
  void notice_view() {
    const View& view = braid_.view();
    if (std::exchange(view_seen_, view.number) != view.number) {
      if (view.cluster.raw != 0 && view.cluster != hello_.cluster) {
        hello_.cluster = view.cluster;
        carrier_.set_hello(hello_);
      }
      if (identity_.key) {
        addresses_.on_view(view);
        carrier_.set_trust(book_of(identity_, view));
      }
    } else if (now() < next_dials_) {
      return;
    }
    next_dials_ = now() + kQuietHouseInterval;
    std::set<std::string> addresses;
    for (const Member& member : braid_.peers_to_dial()) {
      if (member.node == hello_.self.node) continue;
      for (std::string& address : addresses_.addresses_of(member)) addresses.insert(std::move(address));
    }
    carrier_.dial(addresses);
  }

  /// True: megabytes are on their way, and what has come in meanwhile should have its turn.
  bool pump() {
    std::size_t sent = 0;
    for (bool more = true; std::exchange(more, false);) {
      while (braid_.poll_sealed()) {}  // there is nobody here to verify them
      for (; auto work = braid_.poll_work(); more = true) submit(std::move(*work));
      while (sent < kSendBytesPerTurn) {
        const auto out = braid_.poll_send([this](NodeId hop) { return carrier_.has_room(hop); });
        if (!out) break;
        sent += send(*out);
        more = true;
      }
      while (braid_.poll_answer()) {}  // nor are there clients
      for (; auto event = braid_.poll_event(); more = true) tell(*event);
    }
    return sent >= kSendBytesPerTurn;
  }

  void submit(Work work) {
    RunEpoch* const epoch = std::get_if<RunEpoch>(&work);
    if (epoch == nullptr) panic("node", "a volatile node was given something to persist");
    if (epoch->kind != RunEpoch::Kind::kRun) stay_awake(kAwakeAfterNews);  // of an epoch its packet tells
    worker_.submit(std::move(*epoch));
  }

  std::size_t send(const Outgoing& out) {
    const std::vector<SharedBytes> parts = encode_parts(out.envelope);
    std::size_t size = 0;
    for (const SharedBytes& part : parts) size += part.bytes.size();
    carrier_.send(out.next_hop, parts, urgency_of(out));
    return size;
  }

  void refuse(NodeId from, Error cause) {
    folded_.say("node: message_refused peer=" + name_of(from) + " cause=" + to_string(cause));
  }
  bool hosted_here(TorusId torus) const { return braid_.view().hosts[torus.raw] == hello_.self.node; }
  std::string name_of(NodeId node) const {
    const Member* const member = braid_.view().find(node);
    return member != nullptr ? member->name : "?";
  }

  /// For people who look; a guest is asked, and never asks. Without room the answer is not sent.
  void on_sight(NodeId from, Result<LatticeSight> sight) {
    if (!sight) return refuse(from, sight.error());
    const auto answer = lattices_.on_sight(now(), from, std::move(*sight), braid_.view());
    if (!answer || !carrier_.has_room(from)) return;
    const Bytes bytes = encode_lattice_sight(*answer);
    const SharedBytes lent(bytes);
    carrier_.send(from, std::span(&lent, 1), Urgency::kInOrder);
  }

  void on_address_update(NodeId from, Result<AddressUpdate> update) {
    if (!update) return refuse(from, update.error());
    if (!identity_.key || !addresses_.take(from, *update, braid_.view())) return;
    log_line("node: peer_addresses peer=", std::string_view(name_of(update->node)));
    next_dials_ = {};
    tell_addresses();
  }

  void tell_addresses() {
    if (!identity_.key) return;
    addresses_.tell(now(), braid_.view(), *identity_.key, [this](NodeId to, const AddressUpdate& update) {
      if (!linked_.contains(to) || !carrier_.has_room(to)) return false;
      const Bytes bytes = encode_address_update(update);
      const SharedBytes lent(bytes);
      carrier_.send(to, std::span(&lent, 1), Urgency::kNoHurry);
      return true;
    });
  }

  /// A heartbeat that says what the one before has said does not wake a neighbour that sleeps: it wakes for its own before long.
  Urgency urgency_of(const Outgoing& out) {
    if (is_news(out.envelope.message)) stay_awake(kAwakeAfterNews);
    const auto* const beat = std::get_if<Heartbeat>(&out.envelope.message);
    if (beat == nullptr) return rests() ? Urgency::kNoHurry : Urgency::kInOrder;
    if (out.envelope.destination != out.next_hop) return Urgency::kAtOnce;
    Heartbeat& told = told_[out.next_hop];
    const bool news = words_of(told, !rests()) != words_of(*beat, !rests());
    told = *beat;
    if (!news) return Urgency::kNoNews;
    stay_awake(kAwakeAfterNews);
    return Urgency::kAtOnce;
  }

  /// Of several that lay there while this node slept the last one counts: those before ask for what has come since.
  void hear_beats() {
    for (const auto& [origin, heard] : std::exchange(beats_, {})) {
      braid_.on_message(now(), heard.first, heard.second);
      static_cast<void>(pump());
    }
  }

  void tell(const BraidEvent& event) {
    first_epochs_.on_event(event, event.torus && hosted_here(*event.torus));
    if (const auto told = report_of(event, now())) report(*told);
    if (is_quiet(event.kind)) return;
    stay_awake(kAwakeAfterChange);
    log_line("braid: ", to_string(event.kind), " torus=", event.torus ? letter_of(*event.torus) : '-', " epoch=", event.epoch.raw,
               " text=\"", std::string_view(event.text), "\"");
  }

  /// To those who have somebody that looks; without room it is not sent.
  void report(const IncidentReport& told) {
    const Bytes bytes = encode_incident_report(told);
    const SharedBytes lent(bytes);
    for (const Member& member : braid_.view().members)
      if (member.node != hello_.self.node && carrier_.has_room(member.node))
        carrier_.send(member.node, std::span(&lent, 1), Urgency::kNoHurry);
  }

  /// Until an interrupt: the torus's time, or nobody's.
  void sleep() {
    disable_interrupts();
    if (carrier_.may_sleep(rests()) && !worker_.has_done()) {
      set_alarm(wake_time());
      if (worker_.busy()) {
        worker_.run_until_interrupt();
      } else {
        enable_interrupts_and_halt();
      }
    }
    enable_interrupts();
  }

  std::optional<Instant> next_due() const {
    const auto deadline = braid_.next_deadline();
    if (!deadline || !rests()) return deadline;
    return std::max(*deadline, last_due_ + timing_.resting_interval);
  }
  /// Only when the last heartbeat has said so.
  bool rests() const { return said_rest_ && now() >= awake_until_; }
  void stay_awake(Duration so_long) { awake_until_ = std::max(awake_until_, now() + so_long); }

  Instant wake_time() const {
    Instant when = std::min(next_house_, carrier_.next_deadline());
    if (const auto due = next_due()) when = std::min(when, *due);
    return when;
  }

  TransportCallbacks callbacks() {
    TransportCallbacks callbacks;
    callbacks.on_up = [this](const Hello& hello) {
      stay_awake(kAwakeAfterChange);
      ever_linked_ = true;
      linked_.insert(hello.self.node);
      addresses_.forget_told(hello.self.node);
      log_line("node: link_up peer=", std::string_view(hello.self.name));
      braid_.on_link_up(now(), hello.self, hello.key, hello.ticket);
    };
    callbacks.on_down = [this](NodeId peer, bool proof_of_death) {
      log_line("node: link_down peer=", std::string_view(name_of(peer)), " process_gone=",
               proof_of_death ? "yes" : "unknown");
      told_.erase(peer);
      linked_.erase(peer);
      addresses_.forget_told(peer);
      stay_awake(kAwakeAfterChange);
      braid_.on_link_down(now(), peer, proof_of_death);
    };
    callbacks.on_message = [this](NodeId from, std::span<const std::byte> bytes) {
      if (is_lattice_sight(bytes)) return on_sight(from, decode_lattice_sight(bytes));
      if (is_incident_report(bytes)) return;  // nobody looks at this node
      if (is_address_update(bytes)) return on_address_update(from, decode_address_update(bytes));
      Result<Envelope> envelope = decode_envelope(bytes);
      if (!envelope) return refuse(from, envelope.error());
      if (std::holds_alternative<Heartbeat>(envelope->message) && envelope->destination == hello_.self.node) {
        beats_[envelope->origin] = {from, std::move(*envelope)};
        return;
      }
      if (is_news(envelope->message)) stay_awake(kAwakeAfterNews);
      braid_.on_message(now(), from, *envelope);
      static_cast<void>(pump());
    };
    callbacks.on_failure = [this](const std::string&, const std::string& why) {
      folded_.say("node: link_failure text=\"" + why + "\"");
      if (finally_refused_ || !is_final(why)) return;
      finally_refused_ = true;
      log_line("node: gives up: ",
               identity_.key ? std::string_view(why) : "nobody here is of this cluster; start it with cluster=HEX, theirs");
    };
    return callbacks;
  }

  /// A ticket that is no good, a key that was revoked. In an open cluster: never to have met anybody but another cluster's;
  /// a stranger that happened to be heard first is no reason.
  bool is_final(const std::string& why) {
    if (is_revocation(why)) return true;
    if (!is_final_refusal(why)) return false;
    if (identity_.key) return braid_.view().trust.key_of(hello_.self.node) == nullptr;
    if (ever_linked_ || braid_.is_member()) return false;
    if (refused_since_.raw == 0) refused_since_ = now();
    return elapsed(refused_since_, now()) > kStrangersLimit;
  }

  Carrier& carrier_;
  const Identity identity_;
  const Timing& timing_;
  Hello hello_;
  AddressBook addresses_;
  LatticeWatch lattices_;  // outlives the machines that write to it
  NewMachines machines_;
  BraidNode braid_;
  Worker worker_;
  FirstEpochs first_epochs_;
  ViewNumber view_seen_{};
  Instant next_house_{}, next_dials_{}, last_due_{}, awake_until_{};
  std::set<NodeId> linked_;
  std::map<NodeId, Heartbeat> told_;  // the last to a neighbour
  std::map<NodeId, std::pair<NodeId, Envelope>> beats_;  // by origin: heard in this turn, with the neighbour that sent it
  FoldedLines folded_;
  Instant refused_since_{};
  bool said_rest_ = false, ever_linked_ = false, finally_refused_ = false;
};

ExitCode refuse(std::string_view why) {
  log_line("node: ", why);
  return ExitCode::kFailed;
}

/// What only its owner may know comes by files of the firmware, never by the command line, which the host's other users see.
std::optional<Identity> read_identity(const Options& options, std::string& why) {
  Identity identity;
  if (const auto entropy = read_firmware_file("opt/rse/entropy", 4096)) add_entropy(*entropy);
  if (!has_entropy()) {  // without a key there are still the sessions' numbers, which nobody may guess
    why = "this processor has no random numbers (RDRAND): give 32 bytes of /dev/urandom, new ones each time, by -fw_cfg "
          "name=opt/rse/entropy,file=FILE";
    return std::nullopt;
  }
  if (options.insecure != 0) return identity;
  const auto ticket = read_firmware_file("opt/rse/ticket", kTicketTextMax);
  if (!ticket) {
    why = "joining takes a ticket: make one on a member (rse ticket create) and give it by -fw_cfg name=opt/rse/ticket,file=FILE; only an "
          "open cluster takes none (insecure=1)";
    return std::nullopt;
  }
  std::string text(reinterpret_cast<const char*>(ticket->data()), ticket->size());
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  identity.ticket = read_ticket(text, why);
  if (!identity.ticket) return std::nullopt;
  const auto seed = read_firmware_file("opt/rse/key", kKeyBytes);
  if (seed && seed->size() != kKeyBytes) {
    why = "the firmware's file opt/rse/key has " + std::to_string(seed->size()) + " bytes; a key's seed has 32 random ones";
    return std::nullopt;
  }
  SecretKey secret = random_secret();
  if (seed) std::memcpy(secret.bytes.data(), seed->data(), kKeyBytes);
  identity.key.emplace(secret);
  return identity;
}

}  // namespace

ExitCode run_node(const Options& options) {
  if (options.id == 0) return refuse("node= needs id=HEX, never used before");
  const bool open = !options.net || options.insecure != 0;
  if (open && options.cluster == 0) return refuse("node= needs cluster=HEX, the same for all");
  if (!open && options.found != 0) return refuse("a guest founds open clusters only (insecure=1): nobody could ask it for a ticket");
  std::string why, address;
  Identity identity;
  std::unique_ptr<Carrier> carrier;
  if (options.net) {
    std::optional<Identity> read = read_identity(options, why);
    if (!read) return refuse(why);
    identity = std::move(*read);
    carrier = make_udp_carrier(options, book_of(identity, View{}), address, why);
  } else {
    carrier = make_shared_memory(options, why);
  }
  if (!carrier) return refuse(why);
  log_line("node: ", options.node, " cluster=", Hex{identity.ticket ? identity.ticket->cluster.raw : options.cluster},
             options.found != 0 ? " founded" : " joining", open ? "" : " encrypted");
  const auto node = std::make_unique<Node>(options, *carrier, std::move(identity), address);
  return node->run();
}

}  // namespace rse::kernel
