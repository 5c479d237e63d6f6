// A queue in one piece of memory, for things that are large: std::deque allocates for each of those.
// Threads: none. Memory: room for as many as were ever in it at once. Errors: none; front() and pop_front() want one to be
// there. Move an item out of front() before pop_front(): what is left of it goes later.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "torus/base/assert.h"

namespace rse {

template <class T>
class Fifo {
 public:
  bool empty() const { return first_ == items_.size(); }
  std::size_t size() const { return items_.size() - first_; }
  T& front() { return items_[first_]; }
  void push_back(T item) { items_.push_back(std::move(item)); }
  void pop_front() {
    RSE_ASSERT(!empty(), "there is something to take");
    ++first_;
    if (!empty() && (first_ < kTakenMin || 2 * first_ < items_.size())) return;
    items_.erase(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }
  auto begin() { return items_.begin() + static_cast<std::ptrdiff_t>(first_); }
  auto end() { return items_.end(); }
  auto begin() const { return items_.begin() + static_cast<std::ptrdiff_t>(first_); }
  auto end() const { return items_.end(); }
  void erase(typename std::vector<T>::iterator at) {
    if (at == begin()) return pop_front();
    items_.erase(at);
  }

 private:
  static constexpr std::size_t kTakenMin = 32;

  std::vector<T> items_;
  std::size_t first_ = 0;
};

}  // namespace rse
