// The cells of a torus with their outgoing edges and relay limits.
// Size: 32,768 cells, at most the capacity's edges. Threads: none. Memory: carved from the torus's
// arena; a cell's edges lie together in creation order, in a block of a power of two that moves
// when it is full. Errors: a full pool is returned. Invariant: a cell has at most one edge to each
// target.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "torus/base/result.h"
#include "torus/engine/arena.h"
#include "torus/engine/packed_event.h"

namespace rse {

inline constexpr std::uint32_t kDelayMax = 0xFFFFFFFFu;

struct Edge {
  std::uint32_t target;  // global cell
  std::uint32_t delay;   // 1..2^32-1
};
static_assert(sizeof(Edge) == 8);

/// What the run loop reads of a cell; all zero is a cell without edges, limit and processes.
struct Cell {
  static constexpr std::uint32_t kHasProcesses = 1u << 31;
  static constexpr std::uint32_t kHasLimit = 1u << 30;
  static constexpr std::uint32_t kEdgeCountMask = kHasLimit - 1;
  std::uint32_t first_edge;
  std::uint32_t flags_and_edge_count;  // a relay with one edge and no limit is the value 1

  std::uint32_t edge_count() const { return flags_and_edge_count & kEdgeCountMask; }
  bool has_processes() const { return (flags_and_edge_count & kHasProcesses) != 0; }
  bool has_limit() const { return (flags_and_edge_count & kHasLimit) != 0; }
};

class Lattice {
 public:
  void carve(Carver& carver, std::uint32_t edges_max);
  void reset();

  /// `count_max`: how many edges the torus may have. kEdgesFull.
  Result<void> connect(std::uint32_t cell, CellId to, std::uint32_t delay, std::uint32_t count_max);
  void set_limit(std::uint32_t cell, std::int32_t max_payload);
  void set_has_processes(std::uint32_t cell, bool has_processes);
  /// Gives a cell without edges room for `count`; the caller fills it. The count is the caller's to
  /// bound.
  std::span<Edge> add_edges(std::uint32_t cell, std::uint32_t count);

  std::span<Edge> edges(std::uint32_t cell) {
    return {edges_ + cells_[cell].first_edge, cells_[cell].edge_count()};
  }
  std::optional<std::int32_t> limit(std::uint32_t cell) const {
    if (!cells_[cell].has_limit()) return std::nullopt;
    return limits_[cell];
  }
  const Cell& cell(std::uint32_t cell) const { return cells_[cell]; }
  const Cell* cells() const { return cells_; }
  Edge* edge_pool() { return edges_; }
  std::uint32_t edge_count() const { return edge_count_; }
  /// No cell has more edges than this; exact as long as no edge is removed.
  std::uint32_t degree_max() const { return degree_max_; }

 private:
  static constexpr unsigned kBlockClasses = 18;  // 2^17 is more than the cells of all tori

  std::uint32_t allocate_block(unsigned block_class);

  Cell* cells_ = nullptr;
  std::int32_t* limits_ = nullptr;
  Edge* edges_ = nullptr;
  std::uint64_t edges_size_ = 0;
  std::uint64_t fresh_edge_ = 0;  // edges from here on were never used
  std::uint32_t free_blocks_[kBlockClasses] =
      {};  // first edge of a free block, plus 1; the next one in its target
  std::uint32_t edge_count_ = 0;
  std::uint32_t degree_max_ = 0;
  bool touched_ = false;
};

}  // namespace rse
