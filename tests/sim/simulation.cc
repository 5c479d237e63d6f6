#include "tests/sim/simulation.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "torus/base/assert.h"

namespace rse::sim {
namespace {

constexpr std::uint64_t kFirstNode = 100;
constexpr ClientId kClient{77};

}  // namespace

Simulation::Simulation(const SimOptions& options)
    : options_(options), random_(options.seed), nodes_(options.nodes) {
  for (std::size_t i = 0; i < nodes_.size(); ++i) nodes_[i].id = NodeId{kFirstNode + i};
  runs_[0] = Scenario{};
  trace_ = std::getenv("RSE_SIM_TRACE") != nullptr;
}

Duration Simulation::latency() {
  return {20'000 + random_.below(static_cast<std::uint32_t>(options_.latency_max.raw))};
}

void Simulation::at(Instant when, std::function<void()> what) {
  actions_.push({std::max(when, now_), ++order_, std::move(what)});
}

/// Calls `what` unless the process that it is meant for has gone by then; a paused one gets it when it goes on.
void Simulation::for_node(Instant when, std::size_t node, std::function<void(BraidNode&)> what) {
  at(when, [this, node, what = std::move(what), life = nodes_[node].incarnation] {
    Node& target = nodes_[node];
    if (!target.braid || target.incarnation != life) return;
    if (target.paused) {
      for_node(now_ + milliseconds(1), node, what);
      return;
    }
    what(*target.braid);
    drain(node);
  });
}

bool Simulation::linked(std::size_t a, std::size_t b) const {
  return !cut_.contains(std::minmax(a, b));
}

void Simulation::connect(std::size_t a, std::size_t b) {
  if (a == b || !nodes_[a].braid || !nodes_[b].braid || !linked(a, b)) return;
  const auto link_up = [this](std::size_t to, std::size_t of) {
    const Member member{nodes_[of].id, nodes_[of].incarnation, std::string(1, static_cast<char>('a' + of)), {}};
    for_node(now_ + latency(), to, [this, member](BraidNode& braid) { braid.on_link_up(now_, member); });
  };
  link_up(a, b);
  link_up(b, a);
}

void Simulation::start(std::size_t index) {
  Node& node = nodes_[index];
  if (node.braid) return;
  ++node.incarnation;
  // Without a disk it comes back as a new node.
  if (!options_.durable && node.incarnation > 1) node.id = NodeId{node.id.raw + nodes_.size()};
  BraidNode::Options options;
  options.self = {node.id, node.incarnation, std::string(1, static_cast<char>('a' + index)), {}};
  options.durable = options_.durable;
  options.capacity = options_.capacity;
  options.seed = random_.next();
  Recovered recovered;
  if (options_.durable) {
    recovered = node.disk.content;
    for (auto& [key, cut] : node.disk.cuts) recovered.cuts.push_back(cut);
    for (auto& [key, seal] : node.disk.seals) recovered.seals.push_back(seal);
  }
  if (index == 0 && !node.founded) {
    options.found = ClusterId{5};
    node.founded = true;
  }
  say(std::to_string(now_.raw / 1000) + " start " + options.self.name);
  node.braid = std::make_unique<BraidNode>(options, std::move(recovered), now_);
  node.armed = {};
  drain(index);
  for (std::size_t other = 0; other < nodes_.size(); ++other) connect(index, other);
}

void Simulation::kill(std::size_t index) {
  Node& node = nodes_[index];
  if (!node.braid) return;
  say(std::to_string(now_.raw / 1000) + " kill " + std::string(1, static_cast<char>('a' + index)));
  node.braid.reset();
  node.paused = false;
  const auto dead = std::count_if(nodes_.begin(), nodes_.end(),
                                  [](const Node& each) { return !each.braid && each.incarnation > 0; });
  if (dead >= 2) ++generation_;
  for (std::size_t other = 0; other < nodes_.size(); ++other) {
    if (other == index || !linked(index, other)) continue;
    for_node(now_ + latency(), other,
             [this, id = node.id](BraidNode& braid) { braid.on_link_down(now_, id, true); });
  }
}

void Simulation::lose_disk(std::size_t node) { nodes_[node].disk = {}; }

void Simulation::cut(std::size_t a, std::size_t b) {
  cut_.insert(std::minmax(a, b));
  for (auto [to, of] : {std::pair{a, b}, std::pair{b, a}}) {
    for_node(now_ + milliseconds(5), to,
             [this, a, b, id = nodes_[of].id](BraidNode& braid) {
               if (!linked(a, b)) braid.on_link_down(now_, id, false);
             });
  }
}

void Simulation::heal(std::size_t a, std::size_t b) {
  cut_.erase(std::minmax(a, b));
  connect(a, b);
}

void Simulation::pause(std::size_t node) { nodes_[node].paused = true; }
void Simulation::resume(std::size_t node) { nodes_[node].paused = false; }

void Simulation::load(const Scenario& scenario) {
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (!nodes_[i].braid || !nodes_[i].braid->is_member()) continue;
    runs_[nodes_[i].braid->view().run.raw + 1] = scenario;
    const auto loaded = nodes_[i].braid->on_load(now_, encode_scenario(scenario));
    RSE_ASSERT(loaded.ok(), "the simulation's scenarios are good");
    drain(i);
    return;
  }
}

void Simulation::inject(std::size_t node, CellId cell, std::int32_t payload) {
  if (!nodes_[node].braid) return;
  Injection injection;
  // One client each: a lost client's request may be applied or not, and the next one is not behind it.
  injection.client = ClientId{kClient.raw + ++sequence_};
  injection.sequence = 1;
  injection.dst = injection.src = cell;
  injection.payload = payload;
  injected_[injection.client.raw] = injection;
  nodes_[node].braid->on_inject(now_, torus_of(cell), injection);
  drain(node);
}

void Simulation::say(std::string line) {
  if (trace_) std::fprintf(stderr, "%s\n", line.c_str());
  story_.push_back(std::move(line));
}

void Simulation::broken(const std::string& what) {
  if (broken_.empty()) broken_ = what;
  say(std::to_string(now_.raw / 1000) + " BROKEN: " + what);
}

void Simulation::write(Disk& disk, const Persist& work) {
  struct Visitor {
    Disk& disk;
    void operator()(const PersistVote& vote) { disk.content.vote = vote.record; }
    void operator()(const PersistCut& cut) {
      RecoveredCut& stored = disk.cuts[{cut.torus.raw, cut.cut}];
      if (stored.digests != cut.digests || stored.run != cut.run) stored = {};
      stored.run = cut.run;
      stored.torus = cut.torus;
      stored.cut = cut.cut;
      stored.halves |= cut.halves;
      stored.digests = cut.digests;
      for (const auto& region : cut.regions) {
        std::erase_if(stored.regions, [&](const Region& old) { return old.index == region->index; });
        stored.regions.push_back(*region);
      }
    }
    void operator()(const PersistSeals& seals) {
      for (const RecoveredSeal& seal : seals.seals) disk.seals[{seal.torus.raw, seal.epoch.raw}] = seal;
    }
    void operator()(const PersistScenario& scenario) {
      auto& stored = disk.content.scenarios;
      std::erase_if(stored, [&](const Bytes& other) { return digest_of(other) != scenario.keep; });
      stored.push_back(scenario.scenario);
    }
    void operator()(const DropCuts& drop) {
      std::erase_if(disk.cuts, [&](const auto& entry) {
        return entry.second.run != drop.run || entry.first.second < drop.keep_from;
      });
      std::erase_if(disk.seals, [&](const auto& entry) {
        return entry.second.run != drop.run || entry.first.second + 3 < drop.keep_from;
      });
    }
  };
  std::visit(Visitor{disk}, work.what);
}

void Simulation::drain(std::size_t index) {
  Node& node = nodes_[index];
  BraidNode& braid = *node.braid;
  while (auto work = braid.poll_work()) {
    if (auto* run = std::get_if<RunEpoch>(&*work)) {
      execute(*run);
      for_node(now_ + Duration{20'000 + random_.below(300'000)}, index,
               [this, torus = run->torus](BraidNode& done) { done.on_epoch_done(now_, torus); });
    } else {
      auto persist = std::make_shared<Persist>(std::move(std::get<Persist>(*work)));
      node.disk_free = std::max(node.disk_free, now_) + Duration{100'000 + random_.below(1'500'000)};
      for_node(node.disk_free, index,
               [this, persist, index](BraidNode& done) {
                 write(nodes_[index].disk, *persist);
                 done.on_persisted(now_, persist->token);
               });
    }
  }
  while (auto out = braid.poll_send()) {
    ++messages_;
    const std::size_t to = index_of(out->next_hop);
    if (!linked(index, to) || random_.below(100) < options_.drop_percent) continue;
    Instant& last = arrival_[{index, to}];
    last = std::max(last, now_ + latency()) + Duration{1};
    auto envelope = std::make_shared<Envelope>(std::move(out->envelope));
    for_node(last, to, [this, from = node.id, envelope](BraidNode& receiver) {
      receiver.on_message(now_, from, *envelope);
    });
  }
  while (auto answer = braid.poll_answer()) {
    if (answer->status == InjectStatus::kAccepted) acknowledged_.insert(answer->client.raw);
  }
  while (auto event = braid.poll_event()) {
    say(std::to_string(now_.raw / 1000) + " " + static_cast<char>('a' + index) + ": " + event->text);
    if (event->kind == BraidEvent::Kind::kAlarm) broken("alarm: " + event->text);
  }
  while (auto record = braid.poll_sealed()) {
    const auto key = std::tuple{record->run.raw, record->torus.raw, record->epoch.raw};
    const auto [known, fresh] = sealed_.emplace(key, std::pair{*record, generation_});
    if (fresh) continue;
    auto& [old, generation] = known->second;
    if (old.projection == record->projection && old.seal == record->seal) {
      generation = generation_;
    } else if (generation < generation_) {
      // Everybody who knew that seal has died, and it was promised to nobody: from here on the run is another one.
      std::erase_if(sealed_, [&](const auto& entry) {
        return std::get<0>(entry.first) == record->run.raw && std::get<2>(entry.first) >= record->epoch.raw &&
               entry.second.second < generation_;
      });
      sealed_[key] = {*record, generation_};
    } else {
      broken("two nodes differ on torus " + std::string(1, letter_of(record->torus)) + ", epoch " +
             std::to_string(record->epoch.raw));
    }
  }
  const auto deadline = braid.next_deadline();
  if (deadline && *deadline != node.armed) {
    node.armed = *deadline;
    for_node(*deadline, index, [this, index, when = *deadline](BraidNode& due) {
      if (nodes_[index].armed == when) nodes_[index].armed = {};
      due.on_deadline(now_);
    });
  }
}

bool Simulation::step() {
  if (actions_.empty()) return false;
  Action next = actions_.top();
  actions_.pop();
  now_ = next.at;
  next.what();
  return true;
}

void Simulation::run_for(Duration span) {
  const Instant end = now_ + span;
  while (!actions_.empty() && actions_.top().at <= end) step();
  now_ = end;
}

bool Simulation::run_until(const std::function<bool()>& done, Duration limit) {
  const Instant end = now_ + limit;
  while (!done()) {
    if (!broken_.empty() || actions_.empty() || actions_.top().at > end) return false;
    step();
  }
  return true;
}

bool Simulation::alive(std::size_t node) const { return nodes_[node].braid != nullptr; }
const BraidNode& Simulation::node(std::size_t node) const { return *nodes_[node].braid; }

bool Simulation::healthy() const {
  for (const Node& node : nodes_) {
    if (node.braid && node.braid->status(now_).health != Health::kHealthy) return false;
  }
  return true;
}

Epoch Simulation::epoch() const {
  std::array<std::uint64_t, kTorusCount> last{};
  std::uint64_t run = 0;
  for (const auto& [key, record] : sealed_) run = std::max(run, std::get<0>(key));
  for (const auto& [key, record] : sealed_) {
    if (std::get<0>(key) == run) last[std::get<1>(key)] = std::max(last[std::get<1>(key)], std::get<2>(key));
  }
  return {*std::min_element(last.begin(), last.end())};
}

std::size_t Simulation::retained_bytes_max() const {
  std::size_t most = 0;
  for (const Node& node : nodes_) {
    if (node.braid) most = std::max<std::size_t>(most, node.braid->status(now_).retained_bytes);
  }
  return most;
}

std::string Simulation::story() const {
  std::string text;
  for (const std::string& line : story_) text += line + "\n";
  return text;
}

std::string Simulation::verify() const {
  if (!broken_.empty()) return broken_;
  std::map<std::uint64_t, std::size_t> applied;
  for (const auto& [run, scenario] : runs_) {
    std::array<std::unique_ptr<TorusMachine>, kTorusCount> machines;
    for (std::uint8_t t = 0; t < kTorusCount; ++t) {
      machines[t] = std::make_unique<TorusMachine>(TorusId{t}, options_.capacity);
      if (!machines[t]->load(RunId{run}, scenario)) return "the scenario does not load";
    }
    std::map<std::uint64_t, std::array<std::shared_ptr<Packet>, kTorusCount>> packets;
    for (bool more = true; more;) {
      more = false;
      const Epoch epoch = machines[0]->next_epoch();
      for (std::uint8_t t = 0; t < kTorusCount; ++t) {
        const auto found = sealed_.find({run, t, epoch.raw});
        if (found == sealed_.end()) continue;
        TorusMachine& machine = *machines[t];
        if (machine.next_epoch() != epoch) continue;
        const Packet* next = nullptr;
        const Packet* previous = nullptr;
        if (machine.needs_inputs()) {
          const auto& inputs = packets[machine.input_epoch().raw];
          next = inputs[(t + 1) % 3].get();
          previous = inputs[(t + 2) % 3].get();
          if (!next || !previous) continue;
        }
        machine.run_epoch(next, previous);
        packets[epoch.raw][t] = std::make_shared<Packet>(machine.seal(found->second.first.seal));
        if (projection_digest(packets[epoch.raw][t]->projection) != found->second.first.projection) {
          return "torus " + std::string(1, letter_of({t})) + ", epoch " + std::to_string(epoch.raw) +
                 " differs from a run without nodes";
        }
        for (const Injection& injection : found->second.first.seal.injections) ++applied[injection.client.raw];
        more = true;
      }
      packets.erase(packets.begin(), packets.lower_bound(epoch.raw < 4 ? 0 : epoch.raw - 4));
      if (machines[0]->next_epoch() == epoch) more = false;
    }
  }
  for (std::uint64_t client : acknowledged_) {
    if (applied[client] == 0) return "an acknowledged injection is in no seal";
  }
  return {};
}

Scenario busy_scenario(std::uint64_t seed) {
  Random random(seed);
  Scenario scenario;
  scenario.epoch_ticks = 50;
  scenario.boundary_coupling = true;
  scenario.boundary_tolerance = 1;
  for (std::uint8_t t = 0; t < kTorusCount; ++t) {
    for (int i = 0; i < 40; ++i) {
      const CellId cell = cell_at({t}, i % 2 == 0 ? 0 : 31, i % 32, i / 2 % 32);
      scenario.processes.push_back({cell, "phold", "max_delay=40 remote=20"});
    }
    for (int i = 0; i < 20; ++i) {
      const CellId from{t * kCellCount + 8000 + static_cast<std::uint32_t>(i)};
      const CellId to{t * kCellCount + 8000 + static_cast<std::uint32_t>((i + 1) % 20)};
      scenario.edges.push_back({from, to, 1 + random.below(30)});
    }
    scenario.injections.push_back({Tick{random.below(40)}, CellId{t * kCellCount + 8000u},
                                   CellId{t * kCellCount + 8000u}, -500});
    scenario.processes.push_back({cell_at({t}, 5, 5, 5), "counter", ""});
  }
  return scenario;
}

}  // namespace rse::sim
