#include "torus/engine/reference_engine.h"

#include <algorithm>

namespace rse {
namespace {

std::uint64_t multiply_fold(std::uint64_t a, std::uint64_t b) {
  const auto product = static_cast<unsigned __int128>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

std::uint64_t term(const ReferenceEngine::Key& key) {
  const std::uint64_t payload = static_cast<std::uint32_t>(key.payload);
  const std::uint64_t cells = (std::uint64_t{key.dst} << 32) | key.src;
  const std::uint64_t d = multiply_fold(
      key.time ^ (payload * 0x9E3779B97F4A7C15) ^ 0xA0761D6478BD642F, cells ^ 0xE7037ED1A0B428DB);
  return key.kind == 0 ? d ^ 0x8EBC6AF09C88C6E3 : d;
}

class Context final : public ProgramContext {
 public:
  Context(ReferenceEngine& engine, std::uint64_t now, std::uint32_t cell, std::uint64_t pid,
          std::uint64_t& random, bool starting)
      : engine_(engine), now_(now), cell_(cell), pid_(pid), random_(random), starting_(starting) {}
  Tick now() const override { return {now_}; }
  CellId cell() const override { return {cell_}; }
  Pid pid() const override { return {pid_}; }
  std::size_t edge_count() const override { return engine_.links[cell_].size(); }
  CellId edge_target(std::size_t index) const override {
    return {engine_.links[cell_].at(index).to};
  }
  std::uint32_t edge_delay(std::size_t index) const override {
    return engine_.links[cell_].at(index).delay;
  }
  std::optional<std::int32_t> max_payload() const override {
    const auto found = engine_.limits.find(cell_);
    if (found == engine_.limits.end()) return std::nullopt;
    return found->second;
  }
  Result<void> send(CellId to, std::uint32_t delay, std::int32_t payload) override {
    if (engine_.send(now_, cell_, to.raw, delay, payload)) return {};
    return Error::kQueueFull;
  }
  Result<void> connect(CellId to, std::uint32_t delay) override {
    if (engine_.connect({cell_}, to, delay)) return {};
    return Error::kEdgesFull;
  }
  Result<Pid> spawn(CellId at, std::string_view program, std::string_view args) override {
    const std::uint64_t pid = engine_.next_pid;
    if (starting_) engine_.refuse();
    if (starting_ || !engine_.spawn(at, program, args, {now_})) return Error::kProcessesFull;
    return Pid{(std::uint64_t{engine_.id.raw} << 62) + pid};
  }
  void exit() override { exited = true; }
  void output(std::int64_t value) override {
    engine_.outputs.push_back({engine_.counters.outputs++, {now_}, {cell_}, value});
  }
  std::uint64_t random() override {
    Random source(random_);
    const std::uint64_t value = source.next();
    random_ = source.state();
    return value;
  }
  bool exited = false;

 private:
  ReferenceEngine& engine_;
  std::uint64_t now_;
  std::uint32_t cell_;
  std::uint64_t pid_;
  std::uint64_t& random_;
  bool starting_;
};

}  // namespace

bool ReferenceEngine::add(const Key& key) {
  if (pending.size() >= capacity.events) return refuse();
  pending.insert(key);
  return true;
}

bool ReferenceEngine::send(std::uint64_t now, std::uint32_t from, std::uint32_t to,
                           std::uint64_t delay, std::int32_t payload) {
  if (delay < 1 || delay > 0xFFFFFFFF || to >= kTorusCount * kCellCount) return refuse();
  const auto time = static_cast<unsigned __int128>(now) + delay;
  if (time > 0xFFFFFFFFFFFFFFFF) return refuse();
  const std::uint32_t peer = to / kCellCount;
  if (peer == id.raw) return add({static_cast<std::uint64_t>(time), 1, to, from, payload});
  if (!running || outboxes[peer].size() >= capacity.outbox_events) return refuse();
  outboxes[peer].push_back({{static_cast<std::uint64_t>(time)}, {to}, {from}, payload});
  ++counters.sent[peer];
  return true;
}

bool ReferenceEngine::connect(CellId from, CellId to, std::uint64_t delay) {
  if (delay < 1 || delay > 0xFFFFFFFF) return refuse();
  auto& outgoing = links[from.raw];
  for (Link& link : outgoing) {
    if (link.to == to.raw) {
      link.delay = static_cast<std::uint32_t>(delay);
      return true;
    }
  }
  if (edge_count() >= capacity.edges) return refuse();
  outgoing.push_back({to.raw, static_cast<std::uint32_t>(delay)});
  return true;
}

bool ReferenceEngine::spawn(CellId at, std::string_view name, std::string_view args, Tick now) {
  const Program* const program = find_program(name);
  if (program == nullptr) return false;
  if (process_count() >= capacity.processes) return refuse();
  const std::uint64_t pid = (std::uint64_t{id.raw} << 62) + next_pid;
  Proc process{program, std::vector<std::byte>(program->state_bytes()),
               multiply_fold(pid ^ 0xA0761D6478BD642F, 0xE7037ED1A0B428DB)};
  Context context(*this, now.raw, at.raw, pid, process.random, true);
  if (!program->start(process.state, args, context)) return false;
  ++next_pid;
  ++counters.processes_born;
  if (context.exited) {
    ++counters.processes_ended;
  } else {
    processes[at.raw].emplace(pid, std::move(process));
  }
  return true;
}

std::size_t ReferenceEngine::edge_count() const {
  std::size_t count = 0;
  for (const auto& [from, outgoing] : links) count += outgoing.size();
  return count;
}

std::size_t ReferenceEngine::process_count() const {
  std::size_t count = 0;
  for (const auto& [cell, here] : processes) count += here.size();
  return count;
}

void ReferenceEngine::begin_epoch(Tick start, Tick end) {
  begin = start.raw;
  finish = end.raw;
  running = true;
  handled.clear();
  for (auto& outbox : outboxes) outbox.clear();
}

void ReferenceEngine::deliver(const Event& event, std::optional<TorusId> source) {
  if (source) ++counters.received[source->raw];
  add({std::max(event.time.raw, begin), 1, event.dst.raw, event.src.raw, event.payload});
}

void ReferenceEngine::run_epoch() {
  while (!pending.empty() && pending.begin()->time < finish) {
    const std::uint64_t now = pending.begin()->time;
    std::uint64_t sum = 0;
    while (!pending.empty() && pending.begin()->time == now) {
      const Key key = *pending.begin();
      pending.erase(pending.begin());
      sum += term(key);
      ++counters.events;
      ++handled[key.dst];
      handle(key);
    }
    digest = multiply_fold(digest ^ sum, now ^ 0x589965CC75374CC3);
  }
  running = false;
}

void ReferenceEngine::handle(const Key& key) {
  if (key.kind == 0) return handle_corrective(key);
  const auto here = processes.find(key.dst);
  if (here != processes.end() && !here->second.empty()) return handle_processes(key);
  handle_relay(key);
}

void ReferenceEngine::handle_corrective(const Key& key) {
  ++counters.corrective;
  for (Link& link : links[key.dst]) {
    const std::int64_t delay = std::int64_t{link.delay} - key.payload;
    link.delay = static_cast<std::uint32_t>(std::clamp<std::int64_t>(delay, 1, 0xFFFFFFFF));
  }
}

void ReferenceEngine::handle_relay(const Key& key) {
  const auto limit = limits.find(key.dst);
  if (limit != limits.end() && key.payload >= limit->second) return;
  for (Link& link : links[key.dst]) {
    if (key.payload > 0) {
      link.delay = std::max(1u, link.delay - 1);
    } else if (link.delay < 0xFFFFFFFF) {
      ++link.delay;
    }
    const auto payload = static_cast<std::int32_t>(static_cast<std::uint32_t>(key.payload) + 1);
    send(key.time, key.dst, link.to, link.delay, payload);
  }
}

void ReferenceEngine::handle_processes(const Key& key) {
  std::vector<std::uint64_t> pids;  // those that live here before the event
  for (const auto& [pid, process] : processes[key.dst]) pids.push_back(pid);
  const Event event{{key.time}, {key.dst}, {key.src}, key.payload};
  for (const std::uint64_t pid : pids) {
    Proc& process = processes[key.dst].at(pid);
    Context context(*this, key.time, key.dst, pid, process.random, false);
    process.program->on_event(process.state, event, context);
    if (!context.exited) continue;
    processes[key.dst].erase(pid);
    ++counters.processes_ended;
  }
}

}  // namespace rse
