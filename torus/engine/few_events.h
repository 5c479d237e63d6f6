// The run loop for a torus with a handful of pending events: they leave the wheel for a sorted
// array on the stack, where the next one is always the first, and go back when there are more or
// the epoch ends. Size: one kilobyte of stack. Threads: the torus's. Memory: none else. Errors:
// refusals as everywhere, by send(). Invariant: the same results as the wheel; which of the two ran
// shows nowhere.
#pragma once

#include <array>
#include <cstdint>

#include "torus/engine/engine.h"

namespace rse {

class FewEvents {
 public:
  static constexpr std::uint32_t kCountToEnter = 12;
  static constexpr std::uint32_t kCountToLeave =
      24;  // and less than that: entering and leaving do not alternate

  /// Whether the engine may run this way: no processes, and whatever one tick sends has room here
  /// and everywhere.
  static bool fits(const Engine& engine);

  /// Takes all pending events out of the wheel.
  explicit FewEvents(Engine& engine);
  /// Processes events until the epoch ends or there are too many, then puts the rest back.
  void run();

 private:
  static constexpr std::uint32_t kSlots = 64;  // a power of two: the array is a ring

  /// Each event of a tick makes at most `degree_max` others.
  static bool has_room(std::uint32_t count, std::uint32_t degree_max) {
    return count <= kSlots && std::uint64_t{count} * degree_max <= kSlots;
  }
  void insert(std::uint64_t time, PackedEvent event);
  void relay(std::uint64_t now, PackedEvent event);
  void send_along(Edge& edge, std::uint64_t now, std::uint32_t cell, std::int32_t payload);
  TimedEvent& slot(std::uint32_t index) { return slots_[index % kSlots]; }

  Engine& engine_;
  std::uint32_t begin_ = 0;  // slots begin_ .. end_ - 1, ascending by time and event
  std::uint32_t end_ = 0;
  std::array<TimedEvent, kSlots> slots_;
};

}  // namespace rse
