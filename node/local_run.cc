#include "node/local_run.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

namespace rse {
namespace {

/// What refused the scenario, as far as loading one entry after the other tells.
std::string refused_entry(TorusId torus, const Capacity& capacity, const Scenario& scenario) {
  Torus probe(torus, capacity);
  for (const auto& edge : scenario.edges) {
    if (torus_of(edge.from) == torus) static_cast<void>(probe.connect(edge.from, edge.to, edge.delay));
  }
  for (std::size_t i = 0; i < scenario.processes.size(); ++i) {
    const auto& process = scenario.processes[i];
    if (torus_of(process.cell) != torus) continue;
    if (probe.spawn(process.cell, process.program, process.args, Tick{0})) continue;
    return " at process " + std::to_string(i + 1) + " (" + process.program + " \"" + process.args + "\")";
  }
  return {};
}

}  // namespace

/// Packets on their way between the tori. A torus is at most two epochs ahead of the others, four after a leap: the first
/// two epochs there need no packets.
struct LocalRun::Exchange {
  std::mutex mutex;
  std::condition_variable published;
  std::array<std::deque<std::shared_ptr<const Packet>>, kTorusCount> packets;
  std::size_t reported = 0;  // packets of each torus that the callback has seen, `dropped` ones included
  std::array<std::size_t, kTorusCount> dropped{};
  EpochCallback callback;

  std::shared_ptr<const Packet> find(TorusId torus, Epoch epoch) const {
    for (const auto& packet : packets[torus.raw]) {
      if (packet->epoch == epoch) return packet;
    }
    return nullptr;
  }
  std::shared_ptr<const Packet> wait_for(TorusId torus, Epoch epoch) {
    std::unique_lock lock(mutex);
    std::shared_ptr<const Packet> found;
    published.wait(lock, [&] { return (found = find(torus, epoch)) != nullptr; });
    return found;
  }
  void publish(const Packet& packet) {
    auto copy = std::make_shared<const Packet>(packet);
    const std::lock_guard lock(mutex);
    packets[packet.torus.raw].push_back(std::move(copy));
    report();
    published.notify_all();
  }
  void clear() {
    for (auto& queue : packets) queue.clear();
    dropped = {};
    reported = 0;
  }

 private:
  void report() {
    for (;;) {
      EpochPackets complete{};
      for (std::size_t torus = 0; torus < kTorusCount; ++torus) {
        const std::size_t place = reported - dropped[torus];
        if (place >= packets[torus].size()) return;
        complete[torus] = packets[torus][place].get();
      }
      if (callback) callback(complete[0]->epoch, complete);
      ++reported;
      // The slowest torus has sealed `reported` epochs, and its next one needs nothing older than two before.
      for (std::size_t torus = 0; torus < kTorusCount; ++torus) {
        for (; dropped[torus] + kLookaheadEpochs < reported; ++dropped[torus]) packets[torus].pop_front();
      }
    }
  }
};

LocalRun::LocalRun(const Options& options) : options_(options), exchange_(std::make_unique<Exchange>()) {
  for (std::uint8_t torus = 0; torus < kTorusCount; ++torus) {
    machines_[torus] = std::make_unique<TorusMachine>(TorusId{torus}, options.capacity);
    machines_[torus]->set_cut_epochs_max(options.cut_epochs);
  }
}
LocalRun::~LocalRun() = default;

TorusMachine& LocalRun::machine(TorusId torus) { return *machines_[torus.raw]; }
const TorusMachine& LocalRun::machine(TorusId torus) const { return *machines_[torus.raw]; }
double LocalRun::seconds() const { return seconds_; }
void LocalRun::set_seal_source(SealSource source) { seal_source_ = std::move(source); }
void LocalRun::set_epoch_callback(EpochCallback callback) { exchange_->callback = std::move(callback); }

std::string LocalRun::alarm() const {
  const auto first = std::ranges::find_if(alarms_, [](const std::string& text) { return !text.empty(); });
  return first == alarms_.end() ? std::string() : *first;
}

bool LocalRun::load(const Scenario& scenario, std::string& failure) {
  exchange_->clear();
  alarms_ = {};
  seconds_ = 0;
  for (std::uint8_t torus = 0; torus < kTorusCount; ++torus) {
    const Result<void> loaded = machines_[torus]->load(options_.run, scenario);
    if (loaded) continue;
    failure = std::string("torus ") + letter_of({torus}) + " cannot load the scenario: " + to_string(loaded.error()) +
              refused_entry({torus}, options_.capacity, scenario);
    return false;
  }
  return true;
}

void LocalRun::run_next_epoch(TorusId torus) {
  TorusMachine& machine = *machines_[torus.raw];
  const Epoch epoch = machine.next_epoch();
  std::shared_ptr<const Packet> from_next;
  std::shared_ptr<const Packet> from_previous;
  if (machine.needs_inputs()) {
    from_next = exchange_->wait_for(next_torus(torus), machine.input_epoch());
    from_previous = exchange_->wait_for(previous_torus(torus), machine.input_epoch());
  }
  machine.run_epoch(from_next.get(), from_previous.get());
  if (alarms_[torus.raw].empty()) alarms_[torus.raw] = machine.alarm();
  Seal seal;
  if (seal_source_) seal = seal_source_(torus, epoch, machine.must_seal_empty());
  exchange_->publish(machine.seal(std::move(seal)));
}

void LocalRun::run_in_turn() {
  while (machines_[0]->next_epoch() < epochs_) {
    for (std::uint8_t torus = 0; torus < kTorusCount; ++torus) run_next_epoch({torus});
  }
}

void LocalRun::run_on_threads() {
  std::array<std::thread, kTorusCount> workers;
  for (std::uint8_t torus = 0; torus < kTorusCount; ++torus) {
    workers[torus] = std::thread([this, torus] {
      while (machines_[torus]->next_epoch() < epochs_) run_next_epoch({torus});
    });
  }
  for (std::thread& worker : workers) worker.join();
}

void LocalRun::run(Epoch epochs) {
  const auto begin = std::chrono::steady_clock::now();
  epochs_ = epochs;
  for (auto& machine : machines_) {
    machine->set_leap_limit(options_.leaps == Leaps::kNever ? Epoch{0} : epochs);
  }
  switch (options_.threads) {
    case RunThreads::kOne: run_in_turn(); break;
    case RunThreads::kThree: run_on_threads(); break;
  }
  seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace rse
