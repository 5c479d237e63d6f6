// Machines from the heap that take their cuts after so many epochs at the latest: what a node's shell gives to its BraidNode.
// Size: a number. Threads: the node's. Memory: a machine each. Errors: none. Invariant: all nodes of a cluster have the same number.
#pragma once

#include "torus/braid/braid_node.h"

namespace rse {

class NewMachines final : public MachinePool {
 public:
  explicit NewMachines(std::uint64_t cut_epochs) : cut_epochs_(cut_epochs) {}
  TorusMachine* take(TorusId torus, const Capacity& capacity) override {
    auto* const machine = new TorusMachine(torus, capacity);
    machine->set_cut_epochs_max(cut_epochs_);
    return machine;
  }
  void give(TorusMachine* machine) override { delete machine; }

 private:
  std::uint64_t cut_epochs_;
};

}  // namespace rse
