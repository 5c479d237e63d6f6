#include "torus/engine/lattice.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace rse {

void Lattice::carve(Carver& carver, std::uint32_t edges_max) {
  // A cell with e edges has used blocks of 1, 2, 4, ... bit_ceil(e), less than 4 e together.
  edges_size_ = std::uint64_t{edges_max} * 4;
  RSE_ASSERT(edges_size_ < 0xFFFFFFFFu, "an edge's place must fit in 32 bits");
  carver.carve(cells_, kCellCount);
  carver.carve(limits_, kCellCount);
  carver.carve(edges_, edges_size_);
}

void Lattice::reset() {
  touched_.clear(cells_);
  fresh_edge_ = 0;
  std::fill(std::begin(free_blocks_), std::end(free_blocks_), 0u);
  edge_count_ = 0;
  degree_max_ = 0;
}

std::uint32_t Lattice::allocate_block(unsigned block_class) {
  if (free_blocks_[block_class] != 0) {
    const std::uint32_t block = free_blocks_[block_class] - 1;
    free_blocks_[block_class] = edges_[block].target;
    return block;
  }
  const std::uint64_t block = fresh_edge_;
  fresh_edge_ += std::uint64_t{1} << block_class;
  RSE_ASSERT(fresh_edge_ <= edges_size_, "the pool holds the worst case of the capacity");
  return static_cast<std::uint32_t>(block);
}

// Makes the cell one that has room for flags and for more than one edge.
Cell& Lattice::pool(std::uint32_t cell) {
  touched_.touch(cell);
  Cell& here = cells_[cell];
  if (here.is_pooled()) return here;
  const Edge only = here.word;
  here.word = {Cell::kPooled, 0};
  if (only.delay != 0) {
    here.word = {Cell::kPooled + 1, allocate_block(0)};
    edges_[here.first_edge()] = only;
  }
  return here;
}

Result<void> Lattice::connect(std::uint32_t cell, CellId to, std::uint32_t delay,
                              std::uint32_t count_max) {
  for (Edge& edge : edges(cell)) {
    if (edge.target == to.raw) {
      edge.delay = delay;
      return {};
    }
  }
  if (edge_count_ >= count_max) return Error::kEdgesFull;
  touched_.touch(cell);
  ++edge_count_;
  degree_max_ = std::max(degree_max_, cells_[cell].edge_count() + 1);
  if (!cells_[cell].is_pooled() && cells_[cell].edge_count() == 0) {
    cells_[cell].word = {to.raw, delay};
    return {};
  }
  Cell& from = pool(cell);
  const std::uint32_t count = from.edge_count();
  if (count == 0) {
    from.word.delay = allocate_block(0);
  } else if (std::has_single_bit(count)) {  // the block is full
    const auto block_class = static_cast<unsigned>(std::countr_zero(count));
    const std::uint32_t larger = allocate_block(block_class + 1);
    std::memcpy(edges_ + larger, edges_ + from.first_edge(), count * sizeof(Edge));
    edges_[from.first_edge()].target = free_blocks_[block_class];
    free_blocks_[block_class] = from.first_edge() + 1;
    from.word.delay = larger;
  }
  edges_[from.first_edge() + count] = {to.raw, delay};
  ++from.word.target;
  return {};
}

std::span<Edge> Lattice::add_edges(std::uint32_t cell, std::uint32_t count) {
  touched_.touch(cell);
  edge_count_ += count;
  degree_max_ = std::max(degree_max_, count);
  if (count == 1 && !cells_[cell].is_pooled()) return {&cells_[cell].word, 1};
  Cell& here = pool(cell);
  here.word.delay = allocate_block(static_cast<unsigned>(std::bit_width(count - 1)));
  here.word.target += count;
  return edges(cell);
}

void Lattice::set_limit(std::uint32_t cell, std::int32_t max_payload) {
  limits_[cell] = max_payload;
  pool(cell).word.target |= Cell::kHasLimit;
}

void Lattice::set_has_processes(std::uint32_t cell, bool has_processes) {
  std::uint32_t& flags = pool(cell).word.target;
  flags = has_processes ? flags | Cell::kHasProcesses : flags & ~Cell::kHasProcesses;
}

}  // namespace rse
