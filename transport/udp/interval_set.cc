#include "transport/udp/interval_set.h"

#include <algorithm>

namespace rse {

void IntervalSet::add(std::uint64_t begin, std::uint64_t end) {
  if (begin >= end) return;
  if (!intervals_.empty() && begin == intervals_.back().end) {  // the usual case: the next number
    intervals_.back().end = end;
    return;
  }
  const auto first = std::lower_bound(intervals_.begin(), intervals_.end(), begin,
                                      [](const Interval& i, std::uint64_t b) { return i.end < b; });
  auto last = first;
  for (; last != intervals_.end() && last->begin <= end; ++last) {
    begin = std::min(begin, last->begin);
    end = std::max(end, last->end);
  }
  if (first == last) {
    intervals_.insert(first, {begin, end});
    return;
  }
  *first = {begin, end};
  intervals_.erase(first + 1, last);
}

void IntervalSet::remove(std::uint64_t begin, std::uint64_t end) {
  if (begin >= end) return;
  auto at = std::lower_bound(intervals_.begin(), intervals_.end(), begin,
                             [](const Interval& i, std::uint64_t b) { return i.end <= b; });
  if (at == intervals_.end() || at->begin >= end) return;
  if (at->begin < begin) {
    const Interval whole = *at;
    at->end = begin;
    ++at;
    if (whole.end > end) {
      intervals_.insert(at, {end, whole.end});
      return;
    }
  }
  auto last = at;
  while (last != intervals_.end() && last->end <= end) ++last;
  if (last != intervals_.end() && last->begin < end) last->begin = end;
  intervals_.erase(at, last);
}

bool IntervalSet::contains(std::uint64_t number) const {
  const auto at = std::lower_bound(intervals_.begin(), intervals_.end(), number,
                                   [](const Interval& i, std::uint64_t n) { return i.end <= n; });
  return at != intervals_.end() && at->begin <= number;
}

}  // namespace rse
