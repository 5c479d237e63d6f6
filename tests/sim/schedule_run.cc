#include "tests/sim/schedule_run.h"

#include <algorithm>
#include <cerrno>

#include "torus/braid/observer_epochs.h"

namespace rse::sim {
namespace {

constexpr Duration kPatience = milliseconds(15'000);  // simulated; healthy again by then, or say why not
constexpr std::uint64_t kEpochsMin = 50;              // of each torus
constexpr std::uint64_t kEpochsAfterHealth = 3;
constexpr Duration kHeldBackMax = milliseconds(60);   // a step waits so long for the moment at which it may happen
constexpr Duration kHeldBackRepeat = milliseconds(3);
constexpr Duration kQuickEpoch = milliseconds(1);     // work of those that only have to be many
constexpr std::uint64_t kFirstClient = 1'000'000;
constexpr std::size_t kPacketBytesMax = 16'384;       // of these scenarios, retained

class ScheduleRun {
 public:
  ScheduleRun(const Schedule& schedule, const std::set<std::uint32_t>* keep, Story story)
      : schedule_(schedule), keep_(keep), sim_(schedule.cluster), clients_(schedule.steps.size()) {
    if (story != Story::kNone) sim_.keep_story(story == Story::kPrinted);
    sim_.on_user = [this](std::uint64_t argument) { on_user(argument); };
    sim_.on_answer = [this](const InjectAnswer& answer) { on_client_answer(answer); };
    if (sim_.telling()) sim_.say(describe(schedule));
  }

  Outcome run() {
    form() && take_steps() && recover();
    if (sim_.history().broken().empty()) sim_.verify();
    outcome_.broken = sim_.history().broken();
    outcome_.epochs = sim_.history().epochs_checked() / kTorusCount;
    outcome_.rewinds = sim_.history().rewinds();
    outcome_.acknowledged = sim_.acknowledged();
    outcome_.messages = sim_.messages();
    outcome_.actions = sim_.actions();
    outcome_.hostile_refused = sim_.hostile_refused();
    outcome_.simulated = {sim_.now()};
    outcome_.story = sim_.story();
    return std::move(outcome_);
  }

 private:
  enum class Phase : std::uint8_t { kBegin, kEnd, kStart, kAsk, kTimeout };
  static std::uint64_t argument(std::size_t index, Phase phase, std::size_t node = 0) {
    return index << 8 | static_cast<std::uint64_t>(phase) << 4 | node;
  }
  struct Client {
    std::uint32_t left = 0;
    std::uint32_t node = 0;
    TorusId torus;
    Injection injection;
    bool waiting = false, vanishes = false;
    Random random{0};
  };

  bool form();
  bool take_steps();
  bool recover();
  void on_user(std::uint64_t argument);
  bool begin(std::size_t index);
  void end(std::size_t index);
  void each_link(const Step& step, const std::function<void(Link&)>& change);
  void each_way(const Step& step, const std::function<void(std::size_t, std::size_t)>& change);
  bool may_die(const Step& step) const {
    return sim_.alive(step.a) && (schedule_.cluster.durable || sim_.may_lose(step.a));
  }
  void begin_client(std::size_t index);
  void ask(std::size_t index);
  void on_client_answer(const InjectAnswer& answer);
  bool clients_answered() const {
    return std::none_of(clients_.begin(), clients_.end(), [](const Client& client) { return client.waiting; });
  }
  bool everyone_is_in() const {
    const View* view = sim_.newest_view();
    return view && view->members.size() == sim_.size();
  }
  bool everyone_healthy() const { return everyone_is_in() && sim_.healthy(); }

  const Schedule& schedule_;
  const std::set<std::uint32_t>* keep_;
  Simulation sim_;
  std::vector<Client> clients_;
  std::set<std::size_t> under_way_;
  std::uint32_t loads_ = 0;
  std::uint64_t begun_ = 0;  // with the steps
  bool mending_ = false;
  Outcome outcome_;
};

bool ScheduleRun::form() {
  for (std::size_t node = 0; node < sim_.size(); ++node) {
    sim_.after(schedule_.starts[node], argument(0, Phase::kStart, node));
  }
  const auto fails = [&](const char* what) {
    sim_.history().fail(std::string(what) + ": " + sim_.why_not_healthy());
    return false;
  };
  if (schedule_.load_early) {
    if (!sim_.run_until([&] { return sim_.alive(0) && sim_.node(0).is_member(); }, kPatience)) return fails("nobody founds the cluster");
    sim_.load(schedule_.scenario);
  }
  if (!sim_.run_until([&] { return everyone_is_in(); }, kPatience)) return fails("the cluster does not form");
  if (!schedule_.load_early) sim_.load(schedule_.scenario);
  const auto runs = [&] { return sim_.history().newest_run().raw >= 1 && sim_.epoch().raw >= 1; };
  if (!sim_.run_until(runs, kPatience)) return fails("the scenario does not start");
  return true;
}

bool ScheduleRun::take_steps() {
  begun_ = sim_.now();
  Duration last{0};
  for (std::size_t i = 0; i < schedule_.steps.size(); ++i) {
    if (keep_ && !keep_->contains(static_cast<std::uint32_t>(i))) continue;
    const Step& step = schedule_.steps[i];
    sim_.after(step.at, argument(i, Phase::kBegin));
    last = std::max(last, Duration{step.at.raw + step.lasts.raw});
  }
  sim_.run_for({last.raw + 1});
  return sim_.history().broken().empty();
}

/// Everything is mended; whatever is still down is started.
bool ScheduleRun::recover() {
  if (sim_.telling()) sim_.say("--- all faults are over");
  mending_ = true;
  for (const std::size_t index : std::exchange(under_way_, {})) end(index);
  for (std::size_t node = 0; node < sim_.size(); ++node) sim_.start(node);
  for (std::size_t from = 0; from < sim_.size(); ++from) {
    for (std::size_t to = 0; to < sim_.size(); ++to) sim_.link(from, to).drop_percent = 0;  // the loss everywhere, too
  }
  const std::uint64_t begun = sim_.now();
  const auto fails = [&](const std::string& what) {
    if (sim_.history().broken().empty()) sim_.history().fail(what + ": " + sim_.why_not_healthy());
    return false;
  };
  const std::uint64_t patience = kPatience.raw;
  if (!sim_.run_until([&] { return everyone_healthy() && clients_answered(); }, {patience})) {
    return fails(everyone_healthy() ? "a client waits for ever" : "not healthy again after all faults are over");
  }
  outcome_.to_health = {sim_.now() - begun};
  sim_.set_epoch_work_max(kQuickEpoch);
  const std::uint64_t run = sim_.history().newest_run().raw;
  const std::uint64_t epoch = sim_.epoch().raw + kEpochsAfterHealth;
  const auto far_enough = [&] {
    return sim_.history().epochs_checked() >= kEpochsMin * kTorusCount &&
           (sim_.history().newest_run().raw > run || sim_.epoch().raw >= epoch);
  };
  if (!sim_.run_until(far_enough, kPatience)) return fails("the tori stand still");
  const std::size_t retained = sim_.retained_bytes_max();
  const std::uint64_t epochs = 3 * schedule_.cluster.cut_epochs_max + 32 + (schedule_.cluster.observers != 0 ? kObserverEpochsMax : 0);
  const std::size_t bound = kTorusCount * epochs * kPacketBytesMax;
  if (retained > bound) return fails(std::to_string(retained) + " bytes of packets are retained, more than " + std::to_string(bound));
  return true;
}

void ScheduleRun::on_user(std::uint64_t argument) {
  const std::size_t index = argument >> 8;
  switch (static_cast<Phase>(argument >> 4 & 15)) {
    case Phase::kStart: sim_.start(argument & 15); return;
    case Phase::kAsk: ask(index); return;
    case Phase::kTimeout: {
      Client& client = clients_[index];
      if (!client.waiting) return;
      if (client.vanishes) {
        client.waiting = false;
        client.left = 0;
        return;
      }
      client.node = client.random.below(static_cast<std::uint32_t>(sim_.size()));
      ask(index);
      return;
    }
    case Phase::kBegin: {
      if (mending_) return;
      const Step& step = schedule_.steps[index];
      if (sim_.telling()) sim_.say("[" + std::to_string(index) + "] " + describe(step));
      if (!begin(index)) {
        if (sim_.telling()) sim_.say("[" + std::to_string(index) + "] held back");
        if (sim_.now() < begun_ + step.at.raw + kHeldBackMax.raw) {
          sim_.after(kHeldBackRepeat, argument);
        } else {
          ++outcome_.held_back;
        }
        return;
      }
      ++outcome_.hit[static_cast<std::size_t>(step.kind)];
      under_way_.insert(index);
      sim_.after(step.lasts, ScheduleRun::argument(index, Phase::kEnd));
      return;
    }
    case Phase::kEnd:
      if (under_way_.erase(index) != 0) end(index);
      return;
  }
}

void ScheduleRun::each_link(const Step& step, const std::function<void(Link&)>& change) {
  if (step.a != step.b) return change(sim_.link(step.a, step.b));
  for (std::size_t from = 0; from < sim_.size(); ++from) {
    for (std::size_t to = 0; to < sim_.size(); ++to) change(sim_.link(from, to));
  }
}

/// The directions that a step of cutting is about.
void ScheduleRun::each_way(const Step& step, const std::function<void(std::size_t, std::size_t)>& change) {
  const auto both = [&](std::size_t a, std::size_t b) {
    change(a, b);
    change(b, a);
  };
  switch (step.kind) {
    case StepKind::kCutOneWay: return change(step.a, step.b);
    case StepKind::kCutLink: return both(step.a, step.b);
    case StepKind::kIsolate:
      for (std::size_t other = 0; other < sim_.size(); ++other) {
        if (other != step.a) both(step.a, other);
      }
      return;
    case StepKind::kDeafen:
      for (std::size_t other = 0; other < sim_.size(); ++other) {
        if (other != step.a) change(other, step.a);
      }
      return;
    case StepKind::kSplit:
      for (std::size_t a = 0; a < sim_.size(); ++a) {
        for (std::size_t b = 0; b < sim_.size(); ++b) {
          if (a != b && (step.seed >> a & 1) != (step.seed >> b & 1)) change(a, b);
        }
      }
      return;
    default: return;
  }
}

/// False: it cannot happen, or would be more than the product promises to survive.
bool ScheduleRun::begin(std::size_t index) {
  const Step& step = schedule_.steps[index];
  const auto fate = static_cast<UnsyncedFate>(step.seed % 3);
  switch (step.kind) {
    case StepKind::kDrop: each_link(step, [&](Link& link) { link.drop_percent += step.amount; }); return true;
    case StepKind::kDuplicate: each_link(step, [&](Link& link) { link.duplicate_percent += step.amount; }); return true;
    case StepKind::kReorder: each_link(step, [&](Link& link) { link.reorder_percent += step.amount; }); return true;
    case StepKind::kDelay: each_link(step, [&](Link& link) { link.delay.raw += milliseconds(step.amount).raw; }); return true;
    case StepKind::kHostileBytes: sim_.link(step.a, step.b).hostile = true; return true;
    case StepKind::kCutOneWay:
    case StepKind::kCutLink:
    case StepKind::kIsolate:
    case StepKind::kDeafen:
    case StepKind::kSplit:
      each_way(step, [&](std::size_t from, std::size_t to) {
        sim_.block(from, to);
        if (step.seed % 2 == 0 && from < to) sim_.break_link(from, to);
      });
      return true;
    case StepKind::kSlowNode: sim_.set_slowness(step.a, step.amount); return true;
    case StepKind::kSlowDisk: sim_.set_disk_slowness(step.a, step.amount); return true;
    case StepKind::kPause:
    case StepKind::kSuspend:
      if (!sim_.alive(step.a) || sim_.paused(step.a)) return false;
      sim_.pause(step.a, step.kind == StepKind::kSuspend);
      return true;
    case StepKind::kClockJump: sim_.jump_clock(step.a, milliseconds(step.amount)); return true;
    case StepKind::kClockDrift:
      sim_.set_clock_rate(step.a, static_cast<std::int32_t>(step.amount) - 200'000);
      return true;
    case StepKind::kKill:
      if (!may_die(step)) return false;
      sim_.kill(step.a, step.seed % 3 == 0 ? Death::kMachine : Death::kProcess, fate);
      return true;
    case StepKind::kKillAtMessage:
      if (!sim_.alive(step.a)) return false;
      sim_.kill_at_message(step.a, step.amount);
      return true;
    case StepKind::kKillAtWrite:
      if (!sim_.alive(step.a)) return false;
      sim_.kill_at_write(step.a, step.amount);
      return true;
    case StepKind::kDiskFails:
      if (!sim_.alive(step.a)) return false;
      sim_.fail_disk_at(step.a, step.amount, step.seed % 2 == 0 ? ENOSPC : EIO);
      return true;
    case StepKind::kPowerLoss:
      if (!may_die(step)) return false;
      sim_.kill(step.a, Death::kMachine, fate);
      return true;
    case StepKind::kPowerLossOfMany:
      for (std::size_t node = 0; node < sim_.size(); ++node) {
        if ((step.seed >> node & 7) == 0) continue;  // each is spared now and then
        sim_.kill(node, Death::kMachine, static_cast<UnsyncedFate>((step.seed >> (8 + node)) % 3));
        const Duration wait{(step.seed >> (16 + node)) % step.lasts.raw};
        sim_.after(wait, argument(index, Phase::kStart, node));
      }
      return true;
    case StepKind::kLoseDisk:
    case StepKind::kCorruptDisk:
      if (!sim_.alive(step.a) || !sim_.may_lose(step.a)) return false;
      sim_.kill(step.a, step.seed % 2 == 0 ? Death::kMachine : Death::kProcess, fate);
      if (step.kind == StepKind::kLoseDisk) {
        sim_.lose_disk(step.a);
      } else {
        sim_.corrupt_disk(step.a, step.amount);
      }
      return true;
    case StepKind::kClient: begin_client(index); return true;
    case StepKind::kLoad:
      if (loads_ == 2) return false;
      ++loads_;
      sim_.load(small_scenario(step.seed));
      return true;
    case StepKind::kCount: break;
  }
  return false;
}

void ScheduleRun::end(std::size_t index) {
  const Step& step = schedule_.steps[index];
  if (sim_.telling()) sim_.say("[" + std::to_string(index) + "] " + name_of(step.kind) + " is over");
  switch (step.kind) {
    case StepKind::kDrop: each_link(step, [&](Link& link) { link.drop_percent -= step.amount; }); return;
    case StepKind::kDuplicate: each_link(step, [&](Link& link) { link.duplicate_percent -= step.amount; }); return;
    case StepKind::kReorder: each_link(step, [&](Link& link) { link.reorder_percent -= step.amount; }); return;
    case StepKind::kDelay: each_link(step, [&](Link& link) { link.delay.raw -= milliseconds(step.amount).raw; }); return;
    case StepKind::kHostileBytes: sim_.link(step.a, step.b).hostile = false; return;
    case StepKind::kCutOneWay:
    case StepKind::kCutLink:
    case StepKind::kIsolate:
    case StepKind::kDeafen:
    case StepKind::kSplit: each_way(step, [&](std::size_t from, std::size_t to) { sim_.unblock(from, to); }); return;
    case StepKind::kSlowNode: sim_.set_slowness(step.a, 1); return;
    case StepKind::kSlowDisk: sim_.set_disk_slowness(step.a, 1); return;
    case StepKind::kPause:
    case StepKind::kSuspend: sim_.resume(step.a); return;
    case StepKind::kKillAtMessage: sim_.kill_at_message(step.a, ~0ull); sim_.start(step.a); return;
    case StepKind::kKill:
    case StepKind::kPowerLoss:
    case StepKind::kLoseDisk:
    case StepKind::kCorruptDisk: sim_.start(step.a); return;
    case StepKind::kKillAtWrite:
    case StepKind::kDiskFails:
      // What was asked of the disk ends with the process: an operator who mends a disk starts the node again.
      if (sim_.alive(step.a)) sim_.kill(step.a);
      sim_.start(step.a);
      return;
    case StepKind::kClockDrift: sim_.set_clock_rate(step.a, 0); return;
    case StepKind::kPowerLossOfMany:
    case StepKind::kClockJump:
    case StepKind::kClient:
    case StepKind::kLoad:
    case StepKind::kCount: return;
  }
}

// --- Clients: ask, wait, ask again elsewhere with the same sequence, or vanish. ---

void ScheduleRun::begin_client(std::size_t index) {
  const Step& step = schedule_.steps[index];
  Client& client = clients_[index];
  client.random = Random(step.seed);
  client.left = 1 + client.random.below(4);
  client.vanishes = client.random.below(5) == 0;
  client.node = step.a;
  client.torus = TorusId{static_cast<std::uint8_t>(client.random.below(kTorusCount))};
  ask(index);
}

void ScheduleRun::ask(std::size_t index) {
  Client& client = clients_[index];
  if (!client.waiting) {
    const std::uint64_t sequence = client.injection.sequence + 1 + client.random.below(3);
    client.injection = {};
    client.injection.client = ClientId{kFirstClient + index};
    client.injection.sequence = sequence;
    client.injection.dst = client.injection.src = cell_at(client.torus, 5, 5, 5);
    client.injection.payload = static_cast<std::int32_t>(client.random.below(1000));
    if (const std::uint32_t kind = client.random.below(16); kind < 2) {
      client.injection.kind = Injection::Kind::kSpawn;
      client.injection.program = kind == 0 ? "counter" : client.random.below(4) == 0 ? "no-such-program" : "phold";
    }
    client.waiting = true;
  }
  for (std::size_t tries = 0; tries < sim_.size() && !sim_.alive(client.node); ++tries) {
    client.node = static_cast<std::uint32_t>((client.node + 1) % sim_.size());
  }
  sim_.after(Duration{milliseconds(40).raw + client.random.next() % milliseconds(200).raw}, argument(index, Phase::kTimeout));
  sim_.request(client.node, client.torus, client.injection);
}

void ScheduleRun::on_client_answer(const InjectAnswer& answer) {
  const std::size_t index = answer.client.raw - kFirstClient;
  if (index >= clients_.size()) return;
  Client& client = clients_[index];
  if (!client.waiting || answer.sequence != client.injection.sequence || answer.status == InjectStatus::kTooMany) return;
  client.waiting = false;
  if (client.left == 0 || --client.left == 0 || mending_) return;
  sim_.after(Duration{client.random.next() % milliseconds(20).raw}, argument(index, Phase::kAsk));
}

}  // namespace

Outcome run_schedule(const Schedule& schedule, const std::set<std::uint32_t>* keep, Story story) {
  return ScheduleRun(schedule, keep, story).run();
}

}  // namespace rse::sim
