#include "torus/engine/process_table.h"

#include <algorithm>
#include <cstring>

#include "torus/engine/programs.h"

namespace rse {

void ProcessTable::carve(Carver& carver, std::uint32_t processes_max) {
  RSE_ASSERT(all_programs().size() <= kProgramsMax, "raise kProgramsMax");
  RSE_ASSERT(all_programs()[kPholdProgram] == &phold_program(), "programs.cc and programs.h differ");
  carver.carve(processes_, std::size_t{processes_max} + 1);
  carver.carve(first_, kCellCount);
  for (std::size_t i = 0; i < all_programs().size(); ++i) {
    const std::size_t state_bytes = all_programs()[i]->state_bytes();
    RSE_ASSERT(state_bytes <= kProgramStateBytesMax, "a program's state is too large");
    pools_[i].slot_bytes = static_cast<std::uint32_t>((state_bytes + 7) / 8 * 8);
    pools_[i].takes_batches = all_programs()[i]->takes_batches();
    carver.carve(pools_[i].bytes, std::size_t{processes_max} * pools_[i].slot_bytes);
  }
}

void ProcessTable::reset() {
  touched_.clear(first_);
  for (StatePool& pool : pools_) {
    pool.free_slot = 0;
    pool.fresh_slot = 0;
    pool.count = 0;
  }
  free_process_ = 0;
  fresh_process_ = 1;
  count_ = 0;
  in_cell_max_ = 0;
}

std::uint32_t ProcessTable::allocate_state(std::uint32_t program) {
  StatePool& pool = pools_[program];
  if (pool.slot_bytes == 0) return 0;
  std::uint32_t slot = pool.fresh_slot;
  if (pool.free_slot != 0) {
    slot = pool.free_slot - 1;
    std::memcpy(&pool.free_slot, pool.bytes + std::size_t{slot} * pool.slot_bytes, 4);
  } else {
    ++pool.fresh_slot;
  }
  std::memset(pool.bytes + std::size_t{slot} * pool.slot_bytes, 0, pool.slot_bytes);
  return slot;
}

void ProcessTable::free_state(const Process& process) {
  StatePool& pool = pools_[process.program];
  if (pool.slot_bytes == 0) return;
  std::memcpy(pool.bytes + std::size_t{process.state} * pool.slot_bytes, &pool.free_slot, 4);
  pool.free_slot = process.state + 1;
}

std::span<std::byte> ProcessTable::state(const Process& process) const {
  const StatePool& pool = pools_[process.program];
  return {pool.bytes + std::size_t{process.state} * pool.slot_bytes,
          program(process).state_bytes()};
}

std::uint32_t ProcessTable::add(std::uint32_t cell, Pid pid, std::uint32_t program) {
  touched_.touch(cell);
  std::uint32_t handle = free_process_;
  if (handle != 0) {
    free_process_ = processes_[handle].next;
  } else {
    handle = fresh_process_++;
  }
  std::uint32_t* link = &first_[cell];
  std::uint32_t in_cell = 1;
  for (; *link != 0 && processes_[*link].pid < pid.raw; ++in_cell) link = &processes_[*link].next;
  for (std::uint32_t after = *link; after != 0; after = processes_[after].next) ++in_cell;
  in_cell_max_ = std::max(in_cell_max_, in_cell);
  processes_[handle] = {.pid = pid.raw,
                        .random = 0,
                        .cell = cell,
                        .next = *link,
                        .state = allocate_state(program),
                        .program = program};
  *link = handle;
  ++count_;
  ++pools_[program].count;
  return handle;
}

void ProcessTable::remove(std::uint32_t handle) {
  Process& process = processes_[handle];
  std::uint32_t* link = &first_[process.cell];
  while (*link != handle) link = &processes_[*link].next;
  *link = process.next;
  free_state(process);
  --pools_[process.program].count;
  process.pid = 0;
  process.next = free_process_;
  free_process_ = handle;
  --count_;
}

}  // namespace rse
