#include "tests/sim/history.h"

#include <algorithm>
#include <set>

#include "torus/base/assert.h"

namespace rse::sim {
namespace {

std::string place(TorusId torus, std::uint64_t epoch) {
  return "torus " + std::string(1, letter_of(torus)) + ", epoch " + std::to_string(epoch);
}

}  // namespace

History::~History() {
  for (auto& [id, run] : runs_) {
    for (OfTorus& of : run.tori) {
      if (of.reference) ReusedMachines::here().give(of.reference);
    }
  }
}

void History::offer(const Scenario& scenario) {
  offered_[digest_of(encode_scenario(scenario))] = scenario;
}

// --- Views. ---

void History::note_view(NodeId node, const View& view) {
  if (view.trust.has_seed() != (view.trust.key_of(node) != nullptr)) fail("a node has the cluster key and is not admitted, or the other way round");
  View told = view;
  told.trust.seed = {};  // the others do not have it
  const auto [known, fresh] = views_.try_emplace(view.number.raw, std::move(told));
  if (!fresh && known->second != told) fail("two different views have number " + std::to_string(view.number.raw));
  if (const auto known_run = runs_.find(view.run.raw); known_run != runs_.end()) {
    if (view.resumed.raw != 0) known_run->second.resumed_at[view.resumed] = view.resume_cut;
    return;
  }
  const auto scenario = offered_.find(view.scenario);
  if (scenario == offered_.end()) {
    fail("view " + std::to_string(view.number.raw) + " starts a run of a scenario that nobody offered");
    return;
  }
  Run& run = runs_[view.run.raw];
  run.scenario = scenario->second;
  load_references(view.run, run);
}

void History::load_references(RunId id, Run& run) {
  for (std::uint8_t t = 0; t < kTorusCount; ++t) {
    TorusMachine*& machine = run.tori[t].reference;
    if (!machine) machine = ReusedMachines::here().take(TorusId{t}, capacity_);
    const auto loaded = machine->load(id, run.scenario);
    RSE_ASSERT(loaded.ok(), "the scenarios of a simulation load");
  }
}

// --- Epochs. ---

History::Run* History::run_of(RunId run) {
  const auto found = runs_.find(run.raw);
  return found == runs_.end() ? nullptr : &found->second;
}

void History::note_sealed(const std::shared_ptr<const Packet>& packet, ViewNumber resumed) {
  Run* run = run_of(packet->run);
  if (!run) return fail("an epoch of a run that no view has started");
  auto& entries = run->tori[packet->torus.raw].entries;
  const auto known = entries.find(packet->epoch.raw);
  if (known == entries.end()) {
    entries[packet->epoch.raw] = {packet, resumed};
    advance(*run);
    return;
  }
  Entry& entry = known->second;
  if (entry.packet == packet || *entry.packet == *packet) {
    if (entry.resumed >= resumed) return;
    entry.resumed = resumed;
    advance(*run);
  } else if (entry.resumed < resumed) {
    // Everybody who knew that seal had lost its memory, and it was promised to nobody: from here on the run is another one.
    rewind(packet->run, *run, packet->epoch.raw, resumed);
    entries[packet->epoch.raw] = {packet, resumed};
    advance(*run);
  } else if (resumed < entry.resumed && takes_back(*run, entry.resumed, packet->epoch.raw)) {
    // The other way round: said by a node that has not heard of the resumption yet, such as one that was paused.
  } else {
    fail("two nodes differ on " + place(packet->torus, packet->epoch.raw));
  }
}

bool History::takes_back(const Run& run, ViewNumber resumption, std::uint64_t epoch) {
  const auto found = run.resumed_at.find(resumption);
  return found != run.resumed_at.end() && epoch >= found->second;
}

void History::rewind(RunId id, Run& run, std::uint64_t epoch, ViewNumber resumed) {
  ++rewinds_;
  run.rewound = std::max(run.rewound, resumed);
  for (OfTorus& of : run.tori) {
    std::erase_if(of.entries, [&](const auto& entry) {
      if (entry.first < epoch || entry.second.resumed >= resumed) return false;
      for (const Injection& each : entry.second.packet->seal.injections) {
        of.unsaid[{each.client.raw, each.sequence}] = entry.first;
      }
      return true;
    });
    of.states.clear();
    of.cuts.clear();
  }
  load_references(id, run);
}

void History::advance(Run& run) {
  for (bool more = true; more && broken_.empty();) {
    more = false;
    for (std::uint8_t t = 0; t < kTorusCount; ++t) more |= step(run, TorusId{t});
  }
}

/// Runs the reference of `torus` by one epoch if its seal and inputs are known; whether it did.
bool History::step(Run& run, TorusId torus) {
  OfTorus& of = run.tori[torus.raw];
  TorusMachine& machine = *of.reference;
  const std::uint64_t epoch = machine.next_epoch().raw;
  const auto found = of.entries.find(epoch);
  if (found == of.entries.end()) return false;
  const Packet* next = nullptr;
  const Packet* previous = nullptr;
  if (machine.needs_inputs()) {
    const auto input = [&](TorusId from) -> const Packet* {
      const auto& entries = run.tori[from.raw].entries;
      // What was published is an input only once the reference has come to the same.
      if (run.tori[from.raw].reference->next_epoch() <= machine.input_epoch()) return nullptr;
      const auto at = entries.find(machine.input_epoch().raw);
      if (at == entries.end()) return nullptr;
      // What a resumption takes back may not have been said again yet.
      const ViewNumber ours = found->second.resumed, theirs = at->second.resumed;
      if (theirs < ours && takes_back(run, ours, at->first)) return nullptr;
      // The other way round, what follows from an input that a resumption has replaced has not been said again yet.
      return ours < theirs && takes_back(run, theirs, epoch) ? nullptr : at->second.packet.get();
    };
    next = input(next_torus(torus));
    previous = input(previous_torus(torus));
    if (!next || !previous) return false;
  }
  machine.run_epoch(next, previous);
  if (machine.must_seal_empty() && !found->second.packet->seal.injections.empty()) {
    fail(place(torus, epoch) + " was promised empty and is not");
    return false;
  }
  const Packet& own = machine.seal(found->second.packet->seal);
  ++epochs_checked_;
  if (!(own == *found->second.packet)) {
    fail(place(torus, epoch) + " differs from a run without nodes");
    return false;
  }
  if (!machine.alarm().empty()) fail("the reference: " + machine.alarm());
  if (!machine.cut_due()) return true;
  const CutNumber cut = machine.next_epoch().raw;
  of.states[cut] = machine.region_digests();
  for (auto [at, end] = of.cuts.equal_range(cut); at != end; ++at) compare_cut(of, at->second);
  of.cuts.erase(cut);
  return true;
}

// --- States. ---

History::Cut History::Cut::of(const TorusMachine& machine) {
  Cut cut{machine.run(), machine.id(), machine.next_epoch().raw, {}, {}};
  for (std::uint64_t age = 1; cut.sealed.size() < kLookaheadEpochs && age <= cut.number; ++age) {  // a leap may lie between
    if (const Packet* own = machine.own_packet(Epoch{cut.number - age})) cut.sealed.push_back(*own);
  }
  return cut;
}

void History::note_cut(Cut cut, const RegionDigests& digests, ViewNumber resumed) {
  Run* run = run_of(cut.run);
  if (!run || resumed < run->rewound) return;
  cut.digests = digests;
  OfTorus& of = run->tori[cut.torus.raw];
  if (of.states.contains(cut.number)) {
    compare_cut(of, cut);
  } else {
    of.cuts.emplace(cut.number, std::move(cut));
  }
}

void History::compare_cut(const OfTorus& of, const Cut& cut) {
  for (const Packet& packet : cut.sealed) {
    const auto found = of.entries.find(packet.epoch.raw);
    if (found == of.entries.end() || !(*found->second.packet == packet)) return;
  }
  const RegionDigests& state = of.states.at(cut.number);
  for (std::size_t region = 0; region < kRegionCount; ++region) {
    if (state.of[region] == cut.digests.of[region]) continue;
    return fail("the state of torus " + std::string(1, letter_of(cut.torus)) + " at cut " + std::to_string(cut.number) +
                " differs from a run without nodes in region " + std::to_string(region));
  }
}

bool History::check_state(const TorusMachine& machine) {
  Run* run = run_of(machine.run());
  if (!run || machine.awaiting_seal()) return false;
  const TorusMachine& reference = *run->tori[machine.id().raw].reference;
  if (reference.next_epoch() != machine.next_epoch()) return false;
  Bytes mine, theirs;
  for (std::size_t region = 0; region < kRegionCount; ++region) {
    mine.clear();
    theirs.clear();
    reference.write_region(region, mine);
    machine.write_region(region, theirs);
    if (mine == theirs) continue;
    fail("the state of " + place(machine.id(), machine.next_epoch().raw) + " differs from a run without nodes in region " +
         std::to_string(region));
    return true;
  }
  return true;
}

// --- Clients. ---

void History::note_request(const Injection& injection, TorusId torus) {
  requests_[{injection.client.raw, injection.sequence}] = {injection, torus};
}

void History::note_answer(const InjectAnswer& answer) {
  const auto found = requests_.find({answer.client.raw, answer.sequence});
  if (found == requests_.end()) return fail("an answer to a request that nobody made");
  if (answer.status == InjectStatus::kAccepted) {
    acknowledged_ += !found->second.acknowledged;
    found->second.acknowledged = true;
  }
  if (answer.status == InjectStatus::kUnknownProgram) found->second.refused = true;
}

void History::check_clients() {
  std::set<std::pair<std::uint64_t, std::uint64_t>> sealed;
  for (auto& [id, run] : runs_) {
    for (std::uint8_t t = 0; t < kTorusCount; ++t) {
      OfTorus& of = run.tori[t];
      std::map<std::uint64_t, std::uint64_t> last_of;
      std::int64_t effects = 0;
      // A run may end before what was rewound has been said again: its disks still had it.
      for (const auto& [key, epoch] : of.unsaid) {
        if (RunId{id} != newest_run() && !of.entries.contains(epoch)) sealed.insert(key);
      }
      const auto end = of.entries.lower_bound(of.reference->next_epoch().raw);
      if (end == of.entries.begin()) continue;
      const Packet& newest = *std::prev(end)->second.packet;
      for (const auto& [epoch, entry] : of.entries) {
        for (const Injection& injection : entry.packet->seal.injections) {
          const std::pair key{injection.client.raw, injection.sequence};
          const auto request = requests_.find(key);
          if (request == requests_.end() || request->second.torus != TorusId{t} || !(request->second.injection == injection)) {
            fail("a seal of torus " + std::string(1, letter_of({t})) + " has an injection that nobody asked for");
            continue;
          }
          if (request->second.refused) fail("a refused injection is in a seal");
          sealed.insert(key);
          std::uint64_t& last = last_of[key.first];
          if (epoch + kLookaheadEpochs <= newest.epoch.raw && injection.sequence > last) {
            last = injection.sequence;
            ++effects;
          }
        }
      }
      const std::int64_t applied = newest.projection.constraint_vector[kInjectionsDelivered];
      if (applied != effects) {
        fail("torus " + std::string(1, letter_of({t})) + " applied " + std::to_string(applied) +
             " injections, its seals hold " + std::to_string(effects));
      }
    }
  }
  for (const auto& [key, request] : requests_) {
    if (request.acknowledged && !sealed.contains(key)) {
      fail("acknowledged injection " + std::to_string(key.second) + " of client " + std::to_string(key.first) +
           " is in no seal");
    }
  }
}

Epoch History::epoch() const {
  if (runs_.empty()) return {};
  std::uint64_t lowest = ~0ull;
  for (const OfTorus& of : runs_.rbegin()->second.tori) {
    lowest = std::min(lowest, of.entries.empty() ? 0 : of.entries.rbegin()->first);
  }
  return {lowest};
}

}  // namespace rse::sim
