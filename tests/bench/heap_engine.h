// The engine's semantics with a binary heap, as most would write it: one torus, one edge or one phold process a cell, no
// refusals; nothing that it does not need. Threads: none. Memory: grows. Errors: none.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <queue>
#include <vector>

#include "tests/bench/engine_workload.h"
#include "torus/base/random.h"

namespace rse {

class HeapEngine {
 public:
  explicit HeapEngine(const Workload& workload)
      : model_(workload.model), target_(workload.target), delay_(workload.delay) {
    for (const Event& event : workload.events) push(event);
    for (std::uint64_t pid = 1; pid <= kCellCount; ++pid) {
      random_.push_back(fold(pid ^ 0xA0761D6478BD642F, 0xE7037ED1A0B428DB));
    }
  }
  void run_until(std::uint64_t end) {
    while (queue_.top().time < end) {
      const std::uint64_t now = queue_.top().time;
      std::uint64_t sum = 0;
      while (!queue_.empty() && queue_.top().time == now) {
        const Item item = queue_.top();
        queue_.pop();
        const auto payload =
            static_cast<std::int32_t>(static_cast<std::uint32_t>(item.rest) ^ 0x80000000);
        const auto cell = static_cast<std::uint32_t>(item.rest >> 49);
        const auto source = static_cast<std::uint32_t>(item.rest >> 32) & 0x1FFFF;
        sum += digest_term({{now}, {cell}, {source}, payload});
        ++events_;
        push(model_ == Model::kPhold ? phold(now, cell) : relay(now, cell, payload));
      }
      digest_ = digest_step(digest_, {now}, sum);
    }
  }
  std::uint64_t events() const { return events_; }
  std::uint64_t digest() const { return digest_; }

 private:
  struct Item {
    std::uint64_t time;
    std::uint64_t rest;  // destination, source, payload: canonical order within a tick
    bool operator>(const Item& other) const {
      return time != other.time ? time > other.time : rest > other.rest;
    }
  };
  Event relay(std::uint64_t now, std::uint32_t cell, std::int32_t payload) {
    std::uint32_t& delay = delay_[cell];
    delay = payload > 0 ? std::max(1u, delay - 1) : delay + 1;
    return {{now + delay}, {target_[cell]}, {cell}, payload + 1};
  }
  Event phold(std::uint64_t now, std::uint32_t cell) {
    Random random(random_[cell]);
    const std::uint32_t delay = 1 + random.below(kPholdDelayMax);
    static_cast<void>(
        random.below(100));  // the draw for events to other tori, of which there are none
    const CellId to{random.below(kCellCount)};
    random_[cell] = random.state();
    return {{now + delay}, to, {cell}, 0};
  }
  void push(const Event& event) {
    const std::uint64_t payload = static_cast<std::uint32_t>(event.payload) ^ 0x80000000;
    queue_.push({event.time.raw, std::uint64_t{event.dst.raw} << 49 |
                                     std::uint64_t{event.src.raw} << 32 | payload});
  }

  Model model_;
  std::vector<std::uint32_t> target_;
  std::vector<std::uint32_t> delay_;
  std::vector<std::uint64_t> random_;
  std::priority_queue<Item, std::vector<Item>, std::greater<Item>> queue_;
  std::uint64_t events_ = 0;
  std::uint64_t digest_ = 0;
};

}  // namespace rse
