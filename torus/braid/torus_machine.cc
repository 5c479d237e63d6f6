#include "torus/braid/torus_machine.h"

#include <algorithm>

#include "torus/braid/conservation.h"
#include "torus/braid/machine_state.h"

namespace rse {
namespace {

/// Whether the epoch that holds `time` is known to end beyond the last tick, so that the event can never be processed.
bool is_out_of_reach(const Scenario& scenario, Tick time) {
  if (scenario.adaptive) return time == kLastTick;  // K may change until then
  const unsigned __int128 epoch = time.raw / scenario.epoch_ticks;
  return (epoch + 1) * scenario.epoch_ticks > kLastTick.raw;
}

/// Nothing processed, sent, violated or accepted in this epoch.
bool is_idle(const Packet& packet) {
  return packet.projection.load == 0 && packet.projection.violations == 0 &&
         packet.batch_to_next.empty() && packet.batch_to_previous.empty() &&
         packet.seal.injections.empty();
}

void check_packet(const Packet& packet, TorusId torus, RunId run, Epoch epoch) {
  RSE_ASSERT(packet.torus == torus && packet.run == run && packet.epoch == epoch,
             "run_epoch() takes the packets of input_epoch(), from the next torus, then the one before");
}

}  // namespace

// --- Construction and loading. ---

TorusMachine::TorusMachine(TorusId id, const Capacity& capacity)
    : impl_(std::make_unique<Impl>(id, capacity)) {}
TorusMachine::~TorusMachine() = default;

void TorusMachine::Impl::clear() {
  torus.reset(torus.id());
  run = {};
  coupling = Coupling::kOff;
  tolerance = 0;
  epochs = {};
  violations_total = 0;
  injections_delivered = 0;
  cut = {};
  clients.clear();
  own_epochs = {};
  own_count = 0;
  newest_index = 0;
  phase = MachinePhase::kEmpty;
  leap_target.reset();
  must_seal_empty = false;
  cut_noted = false;
  violations = 0;
  alarm.clear();
  changed_since_cut.set();
  changed_since_digests.set();
  regions_read = 0;
}

Result<void> TorusMachine::Impl::take_scenario(const Scenario& scenario) {
  const TorusId id = torus.id();
  if (scenario.epoch_ticks == 0) return Error::kMalformed;
  for (const Event& event : scenario.injections) {
    if (is_out_of_reach(scenario, event.time)) return Error::kTimeOverflow;
  }
  for (const auto& relay : scenario.relays) {
    if (torus_of(relay.cell) == id) torus.set_relay(relay.cell, relay.max_payload);
  }
  for (const auto& edge : scenario.edges) {
    if (torus_of(edge.from) == id) RSE_CHECK(torus.connect(edge.from, edge.to, edge.delay));
  }
  for (const auto& process : scenario.processes) {
    if (torus_of(process.cell) != id) continue;
    RSE_TRY([[maybe_unused]] const Pid pid,
            torus.spawn(process.cell, process.program, process.args, Tick{0}));
  }
  for (const Event& event : scenario.injections) {
    if (torus_of(event.dst) == id) RSE_CHECK(torus.insert(event));
  }
  return {};
}

Result<void> TorusMachine::load(RunId run, const Scenario& scenario) {
  impl_->clear();
  if (auto taken = impl_->take_scenario(scenario); !taken) {
    impl_->clear();
    return taken;
  }
  impl_->run = run;
  impl_->coupling = scenario.boundary_coupling ? Coupling::kOn : Coupling::kOff;
  impl_->tolerance = scenario.boundary_tolerance;
  impl_->epochs.mode = scenario.adaptive ? EpochLength::kAdaptive : EpochLength::kFixed;
  impl_->epochs.length = scenario.epoch_ticks;
  impl_->phase = MachinePhase::kReady;
  return {};
}

// --- Where the machine is. ---

Epoch TorusMachine::next_epoch() const { return impl_->epochs.next; }
Tick TorusMachine::next_start() const { return impl_->epochs.start; }
std::uint64_t TorusMachine::next_length() const { return impl_->epochs.length; }
bool TorusMachine::ticks_exhausted() const { return impl_->epochs.exhausted; }
RunId TorusMachine::run() const { return impl_->run; }
TorusId TorusMachine::id() const { return impl_->torus.id(); }
Epoch TorusMachine::input_epoch() const { return {impl_->epochs.next.raw - kLookaheadEpochs}; }
bool TorusMachine::needs_inputs() const {
  return impl_->epochs.next.raw >= kLookaheadEpochs && own_packet(input_epoch()) != nullptr;
}
bool TorusMachine::must_seal_empty() const { return impl_->must_seal_empty; }
bool TorusMachine::awaiting_seal() const { return impl_->phase == MachinePhase::kAwaitingSeal; }
bool TorusMachine::cut_due() const { return impl_->cut_noted; }
const std::string& TorusMachine::alarm() const { return impl_->alarm; }
const Torus& TorusMachine::torus() const { return impl_->torus; }
std::uint64_t TorusMachine::violations_total() const { return impl_->violations_total; }
std::uint64_t TorusMachine::progress() const { return impl_->torus.progress(); }
void TorusMachine::set_leap_limit(Epoch limit) { impl_->leap_limit = limit; }
void TorusMachine::set_cut_epochs_max(std::uint64_t count) { impl_->cut_epochs_max = count; }

const OwnEpoch* TorusMachine::Impl::own(Epoch epoch) const {
  for (std::size_t age = 0; age < own_count; ++age) {
    const OwnEpoch& candidate = own_epochs[(newest_index + age) % own_epochs.size()];
    if (candidate.packet.epoch == epoch) return &candidate;
  }
  return nullptr;
}

const Packet* TorusMachine::own_packet(Epoch epoch) const {
  const OwnEpoch* const found = impl_->own(epoch);
  return found == nullptr ? nullptr : &found->packet;
}

bool TorusMachine::has_applied(ClientId client, std::uint64_t sequence) const {
  if (client.raw == 0) return false;
  if (impl_->clients.has_applied(client, sequence)) return true;
  for (const OwnEpoch& own : impl_->own_epochs) {
    for (const Injection& injection : own.packet.seal.injections) {
      if (injection.client == client && sequence <= injection.sequence) return true;
    }
  }
  return false;
}

// --- One epoch. ---

void TorusMachine::run_epoch(const Packet* from_next, const Packet* from_previous) {
  Impl& machine = *impl_;
  RSE_ASSERT(machine.phase == MachinePhase::kReady, "load or restore first; seal() ends an epoch");
  const bool has_inputs = needs_inputs();
  RSE_ASSERT((from_next != nullptr) == has_inputs && (from_previous != nullptr) == has_inputs,
             "both packets when needs_inputs(), none otherwise");
  const OwnEpoch* const mine = has_inputs ? machine.own(input_epoch()) : nullptr;
  Projections projections{};
  std::uint64_t violations_two_before = 0;
  if (has_inputs) {
    check_packet(*from_next, next_torus(id()), run(), input_epoch());
    check_packet(*from_previous, previous_torus(id()), run(), input_epoch());
    for (const Packet* packet : {&mine->packet, from_next, from_previous}) {
      projections[packet->torus.raw] = &packet->projection;
      violations_two_before += packet->projection.violations;
    }
  }
  const bool stepping = machine.stepping();
  const OwnEpoch* const before = machine.own({machine.epochs.next.raw - 1});
  machine.must_seal_empty = stepping || (before != nullptr && before->packet.projection.quiet);
  machine.leap_target.reset();
  machine.violations = 0;
  machine.cut_noted = false;
  machine.alarm.clear();
  machine.epochs.enter(violations_two_before);

  if (machine.has_ticks()) {
    machine.torus.begin_epoch(machine.epochs.start, machine.epochs.end());
    if (has_inputs) {
      machine.apply_inputs(*from_next, *from_previous, *mine);
      machine.alarm = broken_law(projections, machine.torus);
    }
    machine.torus.run_epoch();
  }
  if (has_inputs && !stepping) {
    machine.decide_leap(projections);
    machine.cut_noted = machine.cut.note(machine.epochs.next, projections, machine.cut_epochs_max);
  }
  machine.phase = MachinePhase::kAwaitingSeal;
}

// The order matters where a full queue refuses: it is part of the contract.
void TorusMachine::Impl::apply_inputs(const Packet& from_next, const Packet& from_previous,
                                      const OwnEpoch& mine) {
  const Tick start = epochs.start;
  deliver_batch(from_next);
  deliver_batch(from_previous);
  if (coupling == Coupling::kOn) {
    violations = apply_constraints(from_previous.projection.boundary_states, mine.counts,
                                   mine.packet.epoch, tolerance, torus);
    violations_total += violations;
  }
  for (const Injection& injection : mine.packet.seal.injections) deliver_injection(injection, start);
}

void TorusMachine::Impl::deliver_batch(const Packet& packet) {
  for (Event event : packet.batch_to(torus.id())) {
    event.time = std::max(event.time, epochs.start);
    torus.deliver(event, packet.torus);
  }
}

void TorusMachine::Impl::deliver_injection(const Injection& injection, Tick start) {
  if (clients.deliver(injection.client, injection.sequence) == ClientTable::Verdict::kRepeated) {
    return;
  }
  ++injections_delivered;
  switch (injection.kind) {
    case Injection::Kind::kEvent:
      torus.deliver({start, injection.dst, injection.src, injection.payload}, std::nullopt);
      break;
    case Injection::Kind::kSpawn:
      // A full pool is counted by the torus; a bad program or argument is the host's to refuse before it seals.
      static_cast<void>(torus.spawn(injection.dst, injection.program, injection.args, start));
      break;
  }
}

// All three tori come to the same answer here, because they decide from the same three projections.
void TorusMachine::Impl::decide_leap(const Projections& projections) {
  Tick earliest = kLastTick;
  for (const Projection* projection : projections) {
    if (!projection->quiet) return;
    earliest = std::min(earliest, projection->next_event_time);
  }
  if (earliest == kLastTick) return;
  Epochs after = epochs;
  after.finish();
  const Epoch holder = after.holder_of(earliest);
  if (holder <= after.next) return;
  leap_target = holder;
  must_seal_empty = true;
}

const Packet& TorusMachine::seal(Seal seal) {
  Impl& machine = *impl_;
  RSE_ASSERT(machine.phase == MachinePhase::kAwaitingSeal, "run_epoch() comes before seal()");
  RSE_ASSERT(!machine.must_seal_empty || seal.injections.empty(), "this seal was promised empty");
  RSE_ASSERT(seal.injections.size() <= kInjectionsPerSealMax, "a seal has a bound");
  for (const Injection& injection : seal.injections) {
    RSE_ASSERT(injection.program.size() <= kProgramNameBytesMax &&
                   injection.args.size() <= kProgramArgsBytesMax,
               "the texts of an injection have bounds");
  }
  const bool stepping = machine.stepping();
  const Epoch epoch = machine.epochs.next;
  const std::size_t oldest = (machine.newest_index + 1) % machine.own_epochs.size();
  Packet& packet = stepping ? machine.stepped_packet : machine.own_epochs[oldest].packet;
  packet.run = machine.run;
  packet.torus = id();
  packet.epoch = epoch;
  packet.next_epoch = stepping ? machine.newest()->packet.next_epoch  // what is left of the leap
                               : machine.leap_target.value_or(epoch + 1);
  packet.seal = std::move(seal);
  packet.projection = machine.project();
  packet.batch_to_next = machine.batch_to(next_torus(id()));
  packet.batch_to_previous = machine.batch_to(previous_torus(id()));
  packet.projection.quiet = !stepping && machine.is_quiet(packet);
  if (!stepping) {
    machine.own_epochs[oldest].counts = {};
    if (machine.has_ticks()) {
      machine.own_epochs[oldest].counts =
          constraint_counts(machine.torus.high_face_counts(), epoch);
    }
    machine.newest_index = oldest;
    machine.own_count = std::min(machine.own_count + 1, machine.own_epochs.size());
  }
  machine.epochs.finish();
  const Epoch target = std::min(packet.next_epoch, machine.leap_limit);
  if (target > machine.epochs.next) machine.epochs.pass_over(target.raw - machine.epochs.next.raw);
  machine.must_seal_empty = false;
  machine.phase = MachinePhase::kReady;
  return packet;
}

std::vector<Event> TorusMachine::Impl::batch_to(TorusId peer) const {
  if (!has_ticks()) return {};
  const auto sent = torus.outbox(peer);
  return {sent.begin(), sent.end()};
}

bool TorusMachine::Impl::is_quiet(const Packet& packet) const {
  if (packet.epoch.raw == 0 || packet.seal.waiting || !is_idle(packet)) return false;
  const OwnEpoch* const before = own({packet.epoch.raw - 1});
  return before != nullptr && is_idle(before->packet);
}

Projection TorusMachine::Impl::project() const {
  const TorusCounters& counters = torus.counters();
  const TorusId next = next_torus(torus.id());
  const TorusId previous = previous_torus(torus.id());
  Projection projection;
  projection.run = run;
  projection.torus = torus.id();
  projection.epoch = epochs.next;
  projection.end_tick = epochs.end();
  projection.events = counters.events;
  projection.pending = torus.pending_count();
  projection.refused = counters.refused;
  projection.processes = torus.process_count();
  projection.edges = torus.edge_count();
  projection.next_event_time = torus.next_event_time().value_or(kLastTick);
  if (has_ticks()) {
    projection.load = torus.epoch_events();
    std::ranges::copy(torus.low_face_counts(), projection.boundary_states.begin());
  }
  const auto set = [&](ConstraintIndex index, std::uint64_t value) {
    projection.constraint_vector[index] = static_cast<std::int64_t>(value);
  };
  set(kSentToNext, counters.sent[next.raw]);
  set(kSentToPrevious, counters.sent[previous.raw]);
  set(kReceivedFromNext, counters.received[next.raw]);
  set(kReceivedFromPrevious, counters.received[previous.raw]);
  set(kProcessesBorn, counters.processes_born);
  set(kProcessesEnded, counters.processes_ended);
  set(kInjectionsDelivered, injections_delivered);
  set(kOutputs, counters.outputs);
  projection.violations = violations;
  projection.event_digest = torus.event_digest();
  return projection;
}

}  // namespace rse
