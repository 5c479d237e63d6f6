// The cells of a torus with their outgoing edges and relay limits.
// Size: 32,768 cells, at most the capacity's edges. Threads: none. Memory: carved from the torus's
// arena; a cell's only edge lies in the cell, several lie together in creation order, in a block of
// a power of two that moves when it is full. Errors: a full pool is returned. Invariant: a cell has at most one edge to each
// target.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "torus/base/result.h"
#include "torus/engine/arena.h"
#include "torus/engine/packed_event.h"
#include "torus/engine/touched_cells.h"

namespace rse {

inline constexpr std::uint32_t kDelayMax = 0xFFFFFFFFu;

struct Edge {
  std::uint32_t target;  // global cell
  std::uint32_t delay;   // 1..2^32-1
};
static_assert(sizeof(Edge) == 8);

/// What the run loop reads of a cell, 8 bytes. A cell with one edge and nothing else holds that edge
/// itself, as most relays are such: the loop touches one cache line instead of two. All other cells
/// with edges, a limit or processes are pooled: flags and edge count, then the place of the first
/// edge. All zero is a cell without anything (no edge has the delay 0).
struct Cell {
  static constexpr std::uint32_t kPooled = 1u << 31;
  static constexpr std::uint32_t kHasProcesses = 1u << 30;
  static constexpr std::uint32_t kHasLimit = 1u << 29;
  static constexpr std::uint32_t kEdgeCountMask = kHasLimit - 1;
  Edge word;  // the edge, or {flags and edge count, first edge}

  /// The word as one number, and what that is for an edge: one comparison tells an edge within a range of targets and
  /// with a certain delay from everything else.
  std::uint64_t joined() const { return joined_edge(word.target, word.delay); }
  static constexpr std::uint64_t joined_edge(std::uint32_t target, std::uint32_t delay) {
    return std::uint64_t{delay} << 32 | target;
  }
  bool is_pooled() const { return (word.target & kPooled) != 0; }
  std::uint32_t first_edge() const { return word.delay; }  // of a pooled cell
  std::uint32_t edge_count() const {
    return is_pooled() ? word.target & kEdgeCountMask : static_cast<std::uint32_t>(word.delay != 0);
  }
  bool has_processes() const { return is_pooled() && (word.target & kHasProcesses) != 0; }
  bool has_limit() const { return is_pooled() && (word.target & kHasLimit) != 0; }
};
static_assert(sizeof(Cell) == 8 && kGlobalCellCount < Cell::kHasLimit);

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
    Cell& here = cells_[cell];
    if (!here.is_pooled()) return {&here.word, here.edge_count()};
    return {edges_ + here.first_edge(), here.edge_count()};
  }
  std::optional<std::int32_t> limit(std::uint32_t cell) const {
    if (!cells_[cell].has_limit()) return std::nullopt;
    return limits_[cell];
  }
  const Cell& cell(std::uint32_t cell) const { return cells_[cell]; }
  Cell* cells() { return cells_; }
  const Cell* cells() const { return cells_; }
  std::uint32_t edge_count() const { return edge_count_; }
  /// No cell has more edges than this; exact as long as no edge is removed.
  std::uint32_t degree_max() const { return degree_max_; }

 private:
  static constexpr unsigned kBlockClasses = 18;  // 2^17 is more than the cells of all tori

  std::uint32_t allocate_block(unsigned block_class);
  Cell& pool(std::uint32_t cell);

  Cell* cells_ = nullptr;
  std::int32_t* limits_ = nullptr;
  Edge* edges_ = nullptr;
  std::uint64_t edges_size_ = 0;
  std::uint64_t fresh_edge_ = 0;  // edges from here on were never used
  std::uint32_t free_blocks_[kBlockClasses] =
      {};  // first edge of a free block, plus 1; the next one in its target
  std::uint32_t edge_count_ = 0;
  std::uint32_t degree_max_ = 0;
  TouchedCells touched_;
};

}  // namespace rse
