// The engine of DESIGN 2.1 to 2.3 once more, written for reading: a multiset and maps, nothing
// shared with the real one but the programs and the event type. Tests run both and compare
// everything that can be seen. Slow by design. Threads: none. Memory: the heap.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <vector>

#include "torus/engine/torus.h"

namespace rse {

class ReferenceEngine {
 public:
  struct Key {  // member order is the canonical order
    std::uint64_t time;
    int kind;  // 0 corrective, 1 ordinary
    std::uint32_t dst;
    std::uint32_t src;
    std::int32_t payload;
    auto operator<=>(const Key&) const = default;
  };
  struct Link {
    std::uint32_t to;
    std::uint32_t delay;
  };
  struct Proc {
    const Program* program;
    std::vector<std::byte> state;
    std::uint64_t random;
  };

  ReferenceEngine(TorusId torus, const Capacity& limits) : id(torus), capacity(limits) {}

  void set_relay(CellId cell, std::optional<std::int32_t> max_payload) {
    if (max_payload) limits[cell.raw] = *max_payload;
  }
  bool connect(CellId from, CellId to, std::uint64_t delay);
  bool spawn(CellId at, std::string_view program, std::string_view args, Tick now);
  bool insert(const Event& event) {
    return add({event.time.raw, 1, event.dst.raw, event.src.raw, event.payload});
  }
  void begin_epoch(Tick start, Tick end);
  void deliver(const Event& event, std::optional<TorusId> source);
  void deliver_corrective(CellId dst, CellId src, std::int32_t payload) {
    add({begin, 0, dst.raw, src.raw, payload});
  }
  void run_epoch();

  bool add(const Key& key);
  bool send(std::uint64_t now, std::uint32_t from, std::uint32_t to, std::uint64_t delay,
            std::int32_t payload);
  bool refuse() {
    ++counters.refused;
    return false;
  }
  std::size_t edge_count() const;
  std::size_t process_count() const;

  TorusId id;
  Capacity capacity;
  std::multiset<Key> pending;
  std::map<std::uint32_t, std::vector<Link>> links;
  std::map<std::uint32_t, std::int32_t> limits;
  std::map<std::uint32_t, std::map<std::uint64_t, Proc>> processes;  // by cell, by pid
  std::uint64_t next_pid = 1;
  std::array<std::vector<Event>, kTorusCount> outboxes;
  std::map<std::uint32_t, std::uint64_t> handled;  // events of this epoch, by cell
  std::vector<Output> outputs;
  TorusCounters counters;
  std::uint64_t digest = 0;
  std::uint64_t begin = 0;
  std::uint64_t finish = 0;
  bool running = false;

 private:
  void handle(const Key& key);
  void handle_corrective(const Key& key);
  void handle_relay(const Key& key);
  void handle_processes(const Key& key);
};

}  // namespace rse
