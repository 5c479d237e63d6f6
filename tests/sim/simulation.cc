#include "tests/sim/simulation.h"

#include <algorithm>
#include <cstring>

#include "torus/base/assert.h"

namespace rse::sim {
namespace {

constexpr std::uint64_t kMillisecond = 1'000'000;

PublicKey key_of(NodeId node) {
  PublicKey key;
  std::memcpy(key.bytes.data(), &node.raw, sizeof node.raw);
  return key;
}

std::uint64_t ticket_of(NodeId node) { return 1 + node.raw % kTicketsMax; }

/// Tickets for all that will ever come.
Trust founding_trust(NodeId founder) {
  Trust trust;
  trust.seed.fill(1);
  trust.admitted = {{founder, key_of(founder)}};
  for (std::uint64_t id = 1; id <= kTicketsMax; ++id) trust.tickets.push_back({id, {}, ~0ull, kTicketUsesMax, kTicketUsesMax, false});
  return trust;
}

}  // namespace

Simulation::Simulation(const SimOptions& options)
    : options_(options),
      random_(options.seed),
      nodes_(options.nodes),
      links_(options.nodes * options.nodes),
      history_(options.capacity) {
  ReusedMachines::here().set_cut_epochs_max(options.cut_epochs_max);
  history_.offer(Scenario{});
  for (Link& each : links_) each.drop_percent = options.drop_percent;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    Node& node = nodes_[i];
    node.clock_base = now_;
    node.local_base = 1'000 * kMillisecond + random_.next() % (1'000'000 * kMillisecond);
    if (options.durable && !observes(i)) node.disk = std::make_unique<SimulatedDisk>(random_.next());
  }
}

Simulation::~Simulation() = default;

// --- Actions in time. ---

void Simulation::push(std::uint64_t at, ActionKind kind, std::size_t node, std::uint64_t argument, bool flag) {
  Action action;
  action.at = std::max(at, now_);
  action.order = ++order_;
  action.argument = argument;
  action.life = nodes_[node].life;
  action.node = static_cast<std::uint8_t>(node);
  action.kind = kind;
  action.flag = flag;
  actions_.push_back(action);
  std::push_heap(actions_.begin(), actions_.end());
}

void Simulation::after(Duration delay, std::uint64_t argument) {
  push(now_ + delay.raw, ActionKind::kUser, 0, argument);
}

bool Simulation::step() {
  if (actions_.empty()) return false;
  std::pop_heap(actions_.begin(), actions_.end());
  const Action action = actions_.back();
  actions_.pop_back();
  now_ = action.at;
  if (++actions_done_ == options_.actions_max) history_.fail("busy for ever: " + std::to_string(actions_done_) + " actions");
  perform(action);
  return true;
}

void Simulation::perform(const Action& action) {
  if (action.kind == ActionKind::kUser) {
    if (on_user) on_user(action.argument);
    return;
  }
  const std::size_t index = action.node;
  Node& node = nodes_[index];
  if (!node.braid || node.life != action.life) {  // the process that it was meant for has gone
    if (action.kind == ActionKind::kMessage) mail_free_.push_back(action.argument);
    return;
  }
  if (node.paused) {
    node.stalled.push_back(action);
    return;
  }
  switch (action.kind) {
    case ActionKind::kMessage: deliver(node, index, action.argument); break;
    case ActionKind::kDeadline:
      if (node.armed != action.at) return;
      node.armed = 0;
      node.braid->on_deadline(local(node));
      break;
    case ActionKind::kEpochDone: on_worker_done(node, action.argument); break;
    case ActionKind::kLinkUp: {
      if (!nodes_[action.argument].braid) return;
      link_up(node, action.argument);
      break;
    }
    case ActionKind::kLinkDown: node.braid->on_link_down(local(node), NodeId{action.argument}, action.flag); break;
    case ActionKind::kDiskBegin: return begin_batch(index);
    case ActionKind::kDiskEnd: return end_batch(index);
    case ActionKind::kDie: return kill(index);
    case ActionKind::kUser: return;
  }
  drain(index);
}

void Simulation::run_for(Duration span) {
  const std::uint64_t end = now_ + span.raw;
  while (!actions_.empty() && actions_.front().at <= end && history_.broken().empty()) step();
  now_ = end;
}

bool Simulation::run_until(const std::function<bool()>& done, Duration limit) {
  const std::uint64_t end = now_ + limit.raw;
  for (;;) {
    if (!history_.broken().empty()) return false;
    if (done()) return true;
    const std::uint64_t pause = now_ + kMillisecond;
    while (!actions_.empty() && actions_.front().at <= pause && history_.broken().empty()) step();
    if (actions_.empty() || pause > end) return false;
    now_ = pause;
  }
}

// --- Clocks. ---

Instant Simulation::local(const Node& node) const {
  const std::uint64_t passed = node.clock_stopped ? 0 : now_ - node.clock_base;
  const auto ahead = static_cast<std::int64_t>(passed / 1'000) * node.rate / 1'000;
  return {node.local_base + passed + static_cast<std::uint64_t>(ahead)};
}

void Simulation::restart_clock(Node& node) {
  node.local_base = local(node).raw;
  node.clock_base = now_;
}

void Simulation::jump_clock(std::size_t index, Duration ahead) {
  restart_clock(nodes_[index]);
  nodes_[index].local_base += ahead.raw;
  nodes_[index].armed = 0;
  if (nodes_[index].braid && !nodes_[index].paused) arm(index);
}

void Simulation::set_clock_rate(std::size_t index, std::int32_t parts_per_million) {
  restart_clock(nodes_[index]);
  nodes_[index].rate = parts_per_million;
}

/// As the daemon does: an early call does no harm, so that an armed timer stays.
void Simulation::arm(std::size_t index) {
  Node& node = nodes_[index];
  const auto deadline = node.braid->next_deadline();
  if (!deadline) return;
  const std::uint64_t wait = elapsed(local(node), *deadline).raw + node.rest.raw;
  const auto longer = static_cast<std::int64_t>(wait / 1'000) * -node.rate / 1'000;
  const std::uint64_t at = now_ + wait + static_cast<std::uint64_t>(longer) + 1;
  if (node.armed != 0 && node.armed <= at) return;
  node.armed = at;
  push(at, ActionKind::kDeadline, index);
}

void Simulation::set_rest(std::size_t index, Duration rest, bool announced) {
  nodes_[index].rest = rest;
  nodes_[index].braid->set_rest(announced ? rest : Duration{});
}

void Simulation::pause(std::size_t index, bool clock_stops) {
  Node& node = nodes_[index];
  if (node.paused) return;
  node.paused = true;
  if (clock_stops) {
    restart_clock(node);
    node.clock_stopped = true;
  }
}

void Simulation::resume(std::size_t index) {
  Node& node = nodes_[index];
  if (!node.paused) return;
  node.paused = false;
  if (std::exchange(node.clock_stopped, false)) node.clock_base = now_;
  bool timer = false;
  for (Action action : std::exchange(node.stalled, {})) {
    if (action.kind == ActionKind::kDeadline) {
      timer |= action.at == node.armed;
      continue;
    }
    action.at = now_;
    action.order = ++order_;
    actions_.push_back(action);
    std::push_heap(actions_.begin(), actions_.end());
  }
  if (timer) {
    node.armed = now_;
    push(now_, ActionKind::kDeadline, index);
  }
}

void Simulation::set_slowness(std::size_t index, std::uint32_t factor) { nodes_[index].slowness = factor; }
void Simulation::set_disk_slowness(std::size_t index, std::uint32_t factor) { nodes_[index].disk_slowness = factor; }

// --- Processes. ---

std::size_t Simulation::index_of(NodeId id) const {
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i].id == id) return i;
  }
  return nodes_.size();
}

/// The channel's verdict: a peer with the cluster key or a pinned one is what it says, others have their ticket.
void Simulation::link_up(Node& node, std::size_t peer_index) {
  const Node& peer = nodes_[peer_index];
  const Member member = member_of(peer_index);
  if (options_.encrypted) {
    const bool known = node.braid->view().trust.is_admitted(key_of(peer.id)) || peer.braid->view().trust.has_seed();
    node.braid->on_link_up(local(node), member, key_of(peer.id), known ? 0 : ticket_of(peer.id));
  } else {
    node.braid->on_link_up(local(node), member);
  }
  if (options_.one_machine) node.braid->on_watched(local(node), member.node, member.incarnation);
}

void Simulation::start(std::size_t index) {
  Node& node = nodes_[index];
  if (node.braid) return;
  BraidNode::Options options;
  Recovered recovered;
  if (node.disk) {
    if (!open_directory(index, recovered)) return;
  } else {
    // Without a disk it comes back as a new node.
    ++node.incarnation;
    node.id = NodeId{next_node_id_++};
  }
  ++node.life;
  options.self = member_of(index);
  options.durable = node.disk != nullptr;
  options.capacity = options_.capacity;
  options.machines = &ReusedMachines::here();
  options.seed = random_.next();
  if (index == 0 && !cluster_exists_) {
    options.found = ClusterId{5};
    if (options_.encrypted) options.found_trust = founding_trust(node.id);
  }
  if (telling_) say("start " + name_of(index));
  node.braid = std::make_unique<BraidNode>(options, std::move(recovered), local(node));
  node.armed = 0;
  node.view_seen = {};
  node.recorded = {};
  node.record_gaps = 0;
  node.dies_after_messages = ~0ull;
  node.worker_free = {};
  drain(index);
  for (std::size_t other = 0; other < nodes_.size(); ++other) connect(index, other);
}

void Simulation::kill(std::size_t index, Death death, UnsyncedFate fate) {
  Node& node = nodes_[index];
  if (!node.braid) return;
  if (telling_) say("kill " + name_of(index) + (death == Death::kMachine ? ", in silence" : ""));
  node.braid.reset();
  node.directory.reset();
  node.unwritten.clear();
  node.batch.clear();
  node.batch_done = false;
  node.paused = false;
  if (std::exchange(node.clock_stopped, false)) node.clock_base = now_;
  for (const Action& action : node.stalled) {
    if (action.kind == ActionKind::kMessage) mail_free_.push_back(action.argument);
  }
  node.stalled.clear();
  ++node.life;
  if (node.disk) death == Death::kMachine ? node.disk->crash(fate) : node.disk->kill();
  if (death == Death::kMachine) return;
  for (std::size_t other = 0; other < nodes_.size(); ++other) {
    if (other == index || link(index, other).blocked != 0) continue;
    notify(other, index, ActionKind::kLinkDown, node.id.raw, true);
  }
}

void Simulation::request(std::size_t index, TorusId torus, const Injection& injection) {
  Node& node = nodes_[index];
  if (!node.braid || node.paused) return;
  history_.note_request(injection, torus);
  node.braid->on_inject(local(node), torus, injection);
  drain(index);
}

void Simulation::inject(std::size_t node, CellId cell, std::int32_t payload) {
  Injection injection;
  // One client each: a lost client's request may be applied or not, and the next one is not behind it.
  injection.client = ClientId{++next_client_};
  injection.sequence = 1;
  injection.dst = injection.src = cell;
  injection.payload = payload;
  request(node, torus_of(cell), injection);
}

void Simulation::load(const Scenario& scenario) {
  history_.offer(scenario);
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i].braid && !nodes_[i].paused && nodes_[i].braid->is_member()) return load(i, scenario);
  }
}

void Simulation::load(std::size_t node, const Scenario& scenario) {
  history_.offer(scenario);
  const auto loaded = nodes_[node].braid->on_load(local(nodes_[node]), encode_scenario(scenario));
  RSE_ASSERT(loaded.ok(), "the simulation's scenarios are good");
  drain(node);
}

void Simulation::note_recorded(Node& node, const Packet& packet) {
  auto& [run, next] = node.recorded[packet.torus.raw];
  if (packet.epoch > (run == packet.run ? next : Epoch{})) ++node.record_gaps;
  run = packet.run;
  next = packet.next_epoch;
}

void Simulation::drain(std::size_t index) {
  Node& node = nodes_[index];
  BraidNode& braid = *node.braid;
  const View& view = braid.view();
  if (view.number != node.view_seen) {
    if (view.number < node.view_seen) history_.fail("a node went back to an older view");
    node.view_seen = view.number;
    history_.note_view(node.id, view);
    cluster_exists_ |= view.members.size() > 1;
  }
  while (auto packet = braid.poll_sealed()) {
    note_recorded(node, *packet);
    history_.note_sealed(packet, view.resumed);
  }
  bool alive = true;
  while (auto work = braid.poll_work()) {
    if (auto* run = std::get_if<RunEpoch>(&*work)) {
      carry_out(index, *run);
    } else {
      node.unwritten.push_back(std::move(std::get<Persist>(*work)));
      const std::uint64_t between_pieces = node.batch.empty() ? 0 : random_.below(300'000);
      if (node.unwritten.size() == 1) push(now_ + between_pieces * node.disk_slowness, ActionKind::kDiskBegin, index);
    }
  }
  while (alive) {
    auto out = braid.poll_send();
    if (!out) break;
    alive = send(index, *out);
  }
  while (auto answer = braid.poll_answer()) {
    history_.note_answer(*answer);
    if (on_answer) on_answer(*answer);
  }
  while (auto event = braid.poll_event()) {
    if (telling_) say(name_of(index) + ": " + event->text);
    if (event->kind == BraidEvent::Kind::kAlarm) history_.fail("alarm: " + event->text);
  }
  if (!alive) {
    push(now_, ActionKind::kDie, index);
    return;
  }
  arm(index);
}

void Simulation::carry_out(std::size_t index, const RunEpoch& work) {
  Node& node = nodes_[index];
  execute(work);
  if (work.kind == RunEpoch::Kind::kTakeCut) node.cut[work.torus.raw] = History::Cut::of(*work.machine);
  if (work.kind == RunEpoch::Kind::kHashCut) {
    history_.note_cut(std::exchange(node.cut[work.torus.raw], {}), work.taken->digests, node.braid->view().resumed);
  }
  const std::uint64_t span = 20'000 + random_.below(static_cast<std::uint32_t>(options_.epoch_work_max.raw));
  // One worker a torus and one that hashes; each gives back in order.
  std::uint64_t& free = node.worker_free[work.kind == RunEpoch::Kind::kHashCut ? kTorusCount : work.torus.raw];
  free = std::max(free, now_) + span * node.slowness;
  push(free, ActionKind::kEpochDone, index, static_cast<std::uint64_t>(work.kind) << 8 | work.torus.raw);
}

void Simulation::on_worker_done(Node& node, std::uint64_t what) {
  node.braid->on_epoch_done(local(node), TorusId{static_cast<std::uint8_t>(what & 0xff)}, static_cast<RunEpoch::Kind>(what >> 8));
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
