#include "guest_kernel/node/node.h"

#include <algorithm>
#include <map>
#include <memory>
#include <string>

#include "guest_kernel/arch/x86_64/clock.h"
#include "guest_kernel/arch/x86_64/cpu.h"
#include "guest_kernel/drivers/ivshmem.h"
#include "guest_kernel/node/worker.h"
#include "guest_kernel/runtime/print.h"
#include "transport/codec/codec.h"
#include "transport/ivshmem/links.h"

namespace rse::kernel {
namespace {

constexpr Duration kHouseInterval = milliseconds(20);       // while somebody is there with whom there is no link yet
constexpr Duration kQuietHouseInterval = milliseconds(500);  // otherwise bells say what is new
/// Without a doorbell nobody can wake us: how long a message may lie there.
constexpr Duration kLookInterval = milliseconds(1);
/// An emulated processor shares a core with others and may be away for a while, and each time it wakes costs 0.2 ms of one. Deaths
/// are known without waiting for silence: the doorbell server takes the presence of a guest that has gone.
constexpr Duration kHeartbeat = milliseconds(100);
constexpr Duration kEarlySilence = milliseconds(300);
constexpr Duration kSilenceFloor = milliseconds(400);
constexpr Duration kSilenceCeiling = milliseconds(1000);
constexpr Duration kIdleEpoch = milliseconds(500);
constexpr std::size_t kSendBytesPerTurn = 1u << 20;  // then heartbeats have their turn

/// Too frequent for a serial line that is polled.
bool is_quiet(BraidEvent::Kind kind) {
  return kind == BraidEvent::Kind::kCutDurable || kind == BraidEvent::Kind::kPeerSuspected || kind == BraidEvent::Kind::kPeerHeardAgain;
}

Member self_of(const Options& options) {
  return {.node = {options.id}, .incarnation = options.incarnation, .name = std::string(options.node), .addresses = {}};
}

BraidNode::Options braid_options(const Options& options) {
  BraidNode::Options braid;
  braid.self = self_of(options);
  if (options.found != 0) braid.found = ClusterId{options.cluster};
  braid.seed = options.id ^ read_tsc();
  braid.heartbeat = kHeartbeat;
  braid.early_silence = kEarlySilence;
  braid.silence_floor = kSilenceFloor;
  braid.silence_ceiling = kSilenceCeiling;
  braid.idle_epoch = kIdleEpoch;
  return braid;
}

class Node final : private IvshmemLinks::Surroundings {
 public:
  Node(const Options& options, Ivshmem& device, const RingRegion& region, std::uint32_t slot)
      : device_(device),
        participant_(region, {.slot = slot, .bell = device.has_doorbell() ? BellKind::kDoorbell : BellKind::kNone, .process = 0}),
        links_(participant_, *this, {}, callbacks()),
        braid_(braid_options(options), {}, rse::kernel::now()) {
    Hello hello;
    hello.cluster = {options.cluster};
    hello.self = self_of(options);
    links_.set_hello(hello);
    links_.set_address("the shared memory");
  }

  ExitCode run() {
    if (!worker_.start()) {
      print_line("node: there is no memory for a second thread; give the machine more (qemu -m)");
      return ExitCode::kFailed;
    }
    const InterruptHandler give_back = [](Frame& frame, void* self) { static_cast<Node*>(self)->worker_.give_back(frame); };
    on_alarm(give_back, this);
    if (device_.has_doorbell() && !device_.on_ring(0, give_back, this)) {
      print_line("node: the ivshmem device has no doorbell; start the machine with -device ivshmem-doorbell,vectors=1");
      return ExitCode::kFailed;
    }
    for (;;) {
      const bool more = turn();
      if (!more) sleep();
    }
  }

 private:
  /// True: there is more to do at once.
  bool turn() {
    participant_.wake();
    bool more = links_.turn() == IvshmemLinks::Turn::kMore;
    while (const std::optional<Worker::Done> done = worker_.take_done()) braid_.on_epoch_done(now(), done->torus, done->kind);
    if (const auto deadline = braid_.next_deadline(); deadline && *deadline <= now()) braid_.on_deadline(now());
    if (now() >= next_house_) {
      links_.look_after();
      links_.report_deaths();
      next_house_ = now() + (links_.complete() ? kQuietHouseInterval : kHouseInterval);
    }
    return pump() || more;
  }

  /// True: megabytes are on their way, and what has come in meanwhile should have its turn.
  bool pump() {
    std::size_t sent = 0;
    for (bool more = true; std::exchange(more, false);) {
      while (braid_.poll_sealed()) {}  // there is nobody here to verify them
      for (; auto work = braid_.poll_work(); more = true) submit(std::move(*work));
      while (sent < kSendBytesPerTurn) {
        const auto out = braid_.poll_send([this](NodeId hop) { return links_.has_room(hop); });
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
    worker_.submit(std::move(*epoch));
  }

  std::size_t send(const Outgoing& out) {
    const std::vector<SharedBytes> parts = encode_parts(out.envelope);
    const Bytes message = join(parts);
    static_cast<void>(links_.send(out.next_hop, message, urgency_of(out)));  // what matters is sent again
    return message.size();
  }

  /// A heartbeat that says what the one before has said does not wake a neighbour that sleeps: it wakes for its own before long.
  Wake urgency_of(const Outgoing& out) {
    if (!std::holds_alternative<Heartbeat>(out.envelope.message) || out.envelope.destination != out.next_hop) return Wake::kAtOnce;
    Envelope said = out.envelope;
    auto& beat = std::get<Heartbeat>(said.message);
    beat.sequence = 0;
    beat.progress = {};
    Bytes news = encode_envelope(said);
    Bytes& told = told_[out.next_hop];
    if (news == told) return Wake::kLater;
    told = std::move(news);
    return Wake::kAtOnce;
  }

  void tell(const BraidEvent& event) {
    if (is_quiet(event.kind)) return;
    print_line("braid: ", to_string(event.kind), " torus=", event.torus ? letter_of(*event.torus) : '-', " epoch=", event.epoch.raw,
               " text=\"", std::string_view(event.text), "\"");
  }

  /// Until an interrupt: the torus's time, or nobody's.
  void sleep() {
    disable_interrupts();
    if (participant_.try_sleep() && !worker_.has_done()) {
      set_alarm(wake_time());
      if (worker_.busy()) {
        worker_.run_until_interrupt();
      } else {
        enable_interrupts_and_halt();
      }
    }
    enable_interrupts();
  }

  Instant wake_time() const {
    Instant when = next_house_;
    if (const auto deadline = braid_.next_deadline()) when = std::min(when, *deadline);
    if (!device_.has_doorbell()) when = std::min(when, now() + kLookInterval);
    return when;
  }

  TransportCallbacks callbacks() {
    TransportCallbacks callbacks;
    callbacks.on_up = [this](const Hello& hello) {
      print_line("node: link_up peer=", std::string_view(hello.self.name));
      braid_.on_link_up(now(), hello.self);
    };
    callbacks.on_down = [this](NodeId peer, bool proof_of_death) {
      const Member* const member = braid_.view().find(peer);
      print_line("node: link_down peer=", member != nullptr ? std::string_view(member->name) : std::string_view("?"),
                 " process_gone=", proof_of_death ? "yes" : "unknown");
      told_.erase(peer);
      braid_.on_link_down(now(), peer, proof_of_death);
    };
    callbacks.on_message = [this](NodeId from, std::span<const std::byte> bytes) {
      const Result<Envelope> envelope = decode_envelope(bytes);
      if (!envelope) return print_line("node: message_refused cause=", to_string(envelope.error()));
      braid_.on_message(now(), from, *envelope);
      static_cast<void>(pump());
    };
    callbacks.on_failure = [this](const std::string&, const std::string& why) {
      if (why != last_failure_) print_line("node: link_failure text=\"", std::string_view(why), "\"");
      last_failure_ = why;
    };
    return callbacks;
  }

  // --- What the links are told. ---
  Instant now() const override { return rse::kernel::now(); }
  void ring(std::uint32_t slot) override {
    if (device_.has_doorbell()) device_.ring(static_cast<std::uint16_t>(slot), 0);
  }
  void turn_soon() override {}  // disconnect() is never called here
  void on_appeared(std::uint32_t) override {}
  /// A guest cannot look at locks. Hosts clear the presence of whoever has died.
  bool is_gone(std::uint32_t slot, std::uint32_t) const override { return !participant_.present(slot); }
  std::string place(std::uint32_t slot) const override { return "slot " + std::to_string(slot); }
  bool encrypted() const override { return false; }
  void show(Hello&) const override {}
  std::string judge(Hello& peer, const std::string& where) const override {
    if (peer.key.is_none()) return {};
    return "cannot talk to " + where + ": it is of an encrypted cluster, and a guest has no keys; start it with --insecure";
  }

  Ivshmem& device_;
  Participant participant_;
  IvshmemLinks links_;
  BraidNode braid_;
  Worker worker_;
  Instant next_house_{};
  std::map<NodeId, Bytes> told_;  // what the last heartbeat that woke a neighbour has said
  std::string last_failure_;
};

ExitCode refuse(std::string_view why) {
  print_line("node: ", why);
  return ExitCode::kFailed;
}

}  // namespace

ExitCode run_node(const Options& options) {
  if (options.id == 0 || options.cluster == 0) return refuse("node= needs id=HEX, never used before, and cluster=HEX, the same for all");
  static Ivshmem device;
  if (const char* const wrong = device.start()) return refuse(wrong);
  if (!device.has_doorbell() && !options.slot) return refuse("an ivshmem-plain device does not say which place is ours: give slot=NUMBER");
  const std::uint64_t slot = device.has_doorbell() ? device.id() : *options.slot;
  if (slot >= kParticipantsMax) return refuse("there are 8 places in the shared memory, 0 to 7, and ours is none of them");
  const std::optional<RingRegion> region = RingRegion::over(device.memory());
  if (!region || !region->formatted()) {
    return refuse("the shared memory is none of this version; whoever makes it (the doorbell server, an rse-node) has to start first");
  }
  print_line("node: ", options.node, " slot=", slot, " cluster=", Hex{options.cluster}, options.found != 0 ? " founded" : " joining");
  const auto node = std::make_unique<Node>(options, device, *region, static_cast<std::uint32_t>(slot));
  return node->run();
}

}  // namespace rse::kernel
