// The processes of a torus: which program, where, with which state and random source.
// Size: at most the capacity's processes. Threads: none. Memory: carved from the torus's arena;
// states lie in one pool a program, each of that program's state_bytes(). Errors: none; the caller
// bounds the count before it adds. Invariant: a cell's processes are linked in the order of their
// pids.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "torus/engine/arena.h"
#include "torus/engine/packed_event.h"
#include "torus/engine/program.h"
#include "torus/engine/touched_cells.h"

namespace rse {

inline constexpr std::size_t kProgramsMax = 16;

struct Process {
  std::uint64_t pid;
  std::uint64_t random;   // state of its Random
  std::uint32_t cell;     // index in the torus
  std::uint32_t next;     // in its cell, or in the list of free ones; 0: the last
  std::uint32_t state;    // slot in its program's pool
  std::uint32_t program;  // index in all_programs()
};

class ProcessTable {
 public:
  void carve(Carver& carver, std::uint32_t processes_max);
  void reset();

  /// Adds a process with zeroed state after those of its cell with smaller pids. Its handle, never
  /// 0.
  std::uint32_t add(std::uint32_t cell, Pid pid, std::uint32_t program);
  void remove(std::uint32_t handle);

  Process& at(std::uint32_t handle) { return processes_[handle]; }
  const Process& at(std::uint32_t handle) const { return processes_[handle]; }
  /// The first process of a cell; 0: none. Follow `next`.
  std::uint32_t first(std::uint32_t cell) const { return first_[cell]; }
  /// Asks for what an event for the cell will read first.
  void fetch(std::uint32_t cell) const { __builtin_prefetch(processes_ + first_[cell]); }
  std::span<std::byte> state(const Process& process) const;
  const Program& program(const Process& process) const { return *all_programs()[process.program]; }
  /// The same without its size: no virtual call.
  const std::byte* state_bytes(const Process& process) const {
    const StatePool& pool = pools_[process.program];
    return pool.bytes + std::size_t{process.state} * pool.slot_bytes;
  }
  /// Whether the process, which is its cell's first, is alone there and takes all events of a tick at once.
  bool takes_batches(const Process& process) const {
    return process.next == 0 && pools_[process.program].takes_batches;
  }
  std::uint32_t count() const { return count_; }
  std::uint32_t count_of(std::uint32_t program) const { return pools_[program].count; }
  /// No cell has more processes than this; exact as long as none was removed.
  std::uint32_t in_cell_max() const { return in_cell_max_; }
  /// Handles up to and with this one may be in use; one that is not has pid 0.
  std::uint32_t handle_max() const { return fresh_process_ - 1; }

 private:
  struct StatePool {
    std::byte* bytes;
    std::uint32_t slot_bytes;  // state_bytes() rounded up to 8: room for the link of a free slot
    std::uint32_t free_slot;   // plus 1; 0: none
    std::uint32_t fresh_slot;
    std::uint32_t count;  // of its program's processes
    bool takes_batches;
  };
  std::uint32_t allocate_state(std::uint32_t program);
  void free_state(const Process& process);

  Process* processes_ = nullptr;  // handle 0 is never used
  std::uint32_t* first_ = nullptr;
  StatePool pools_[kProgramsMax] = {};
  std::uint32_t free_process_ = 0;
  std::uint32_t fresh_process_ = 1;
  std::uint32_t count_ = 0;
  std::uint32_t in_cell_max_ = 0;
  TouchedCells touched_;
};

}  // namespace rse
