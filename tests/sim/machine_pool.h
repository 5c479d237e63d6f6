// Machines that outlive the nodes that used them: building one costs a fresh five megabytes of address space, emptying it
// a few microseconds. Kept for the life of the thread, by torus and capacity.
// Threads: one. Memory: as many machines as were ever in use at once.
#pragma once

#include <map>
#include <memory>
#include <tuple>
#include <vector>

#include "torus/braid/braid_node.h"

namespace rse::sim {

class ReusedMachines final : public MachinePool {
 public:
  /// The pool of this thread.
  static ReusedMachines& here() {
    thread_local ReusedMachines pool;
    return pool;
  }
  TorusMachine* take(TorusId torus, const Capacity& capacity) override {
    auto& list = free_[key(torus, capacity)];
    if (list.empty()) {
      made_.push_back(std::make_unique<TorusMachine>(torus, capacity));
      key_of_[made_.back().get()] = key(torus, capacity);
      list.push_back(made_.back().get());
    }
    TorusMachine* machine = list.back();
    list.pop_back();
    machine->set_cut_epochs_max(cut_epochs_max_);
    return machine;
  }
  void give(TorusMachine* machine) override { free_[key_of_.at(machine)].push_back(machine); }
  /// Of machines that are taken from now on.
  void set_cut_epochs_max(std::uint64_t count) { cut_epochs_max_ = count; }

 private:
  using Key = std::tuple<std::uint8_t, std::uint32_t, std::uint32_t, std::uint32_t, std::uint32_t>;
  static Key key(TorusId torus, const Capacity& of) {
    return {torus.raw, of.events, of.edges, of.processes, of.outbox_events};
  }
  std::vector<std::unique_ptr<TorusMachine>> made_;
  std::map<TorusMachine*, Key> key_of_;
  std::map<Key, std::vector<TorusMachine*>> free_;
  std::uint64_t cut_epochs_max_ = 256;
};

}  // namespace rse::sim
