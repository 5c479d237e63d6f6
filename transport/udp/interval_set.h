// A set of unsigned numbers as disjoint half-open intervals: which packets came, which bytes of a stream are there.
// Size: one entry an interval; the owner bounds it. Threads: none. Memory: a sorted vector, since there are few intervals
// and they change at the upper end. Errors: none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace rse {

struct Interval {
  std::uint64_t begin, end;
  std::uint64_t size() const { return end - begin; }
  friend bool operator==(const Interval&, const Interval&) = default;
};

class IntervalSet {
 public:
  /// Adds [begin, end), joining what it touches.
  void add(std::uint64_t begin, std::uint64_t end);
  void remove(std::uint64_t begin, std::uint64_t end);
  bool contains(std::uint64_t number) const;
  bool empty() const { return intervals_.empty(); }
  std::size_t count() const { return intervals_.size(); }
  /// Ascending.
  const std::vector<Interval>& intervals() const { return intervals_; }
  void drop_lowest() { intervals_.erase(intervals_.begin()); }

 private:
  std::vector<Interval> intervals_;
};

}  // namespace rse
