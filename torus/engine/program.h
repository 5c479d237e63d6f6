// What a program is: code registered by name that handles the events of one process, with state of bounded size.
// Everything it may do goes through ProgramContext; there is no clock, no I/O and no other memory, so that the same
// events give the same state on every machine.
// Threads: the torus's. Memory: state lives in the torus's arena. Errors: returned by the context's calls.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "torus/base/random.h"
#include "torus/base/result.h"
#include "torus/base/strong.h"
#include "torus/engine/event.h"

namespace rse {

inline constexpr std::size_t kProgramStateBytesMax = 256;
inline constexpr std::size_t kProgramArgsBytesMax = 256;
inline constexpr std::size_t kProgramNameBytesMax = 32;
inline constexpr std::size_t kProgramBatchMax = 64;  // events in one call of on_events()

/// What a program sees and may do while it handles one event. Lives for that call only.
class ProgramContext {
 public:
  virtual Tick now() const = 0;
  virtual CellId cell() const = 0;
  virtual Pid pid() const = 0;
  /// The cell's outgoing edges, in creation order.
  virtual std::size_t edge_count() const = 0;
  virtual CellId edge_target(std::size_t index) const = 0;
  virtual std::uint32_t edge_delay(std::size_t index) const = 0;
  /// The cell's relay limit, if it has one.
  virtual std::optional<std::int32_t> max_payload() const { return std::nullopt; }

  /// Sends an event from this cell, `delay` in 1..2^32-1 ticks from now. kQueueFull, kOutboxFull, kBadDelay,
  /// kTimeOverflow: nothing was sent, the refusal is counted.
  virtual Result<void> send(CellId to, std::uint32_t delay, std::int32_t payload) = 0;
  /// Makes or changes the edge from this cell to `to`.
  virtual Result<void> connect(CellId to, std::uint32_t delay) = 0;
  /// Starts a process in this cell's torus; it sees events from the next one on.
  virtual Result<Pid> spawn(CellId at, std::string_view program, std::string_view args) = 0;
  /// Ends this process when the handler returns.
  virtual void exit() = 0;
  /// Appends to the torus's output ring (kOutputsMax most recent, numbered from 0).
  virtual void output(std::int64_t value) = 0;
  /// The process's own random source, part of its state.
  virtual std::uint64_t random() = 0;

 protected:
  ~ProgramContext() = default;
};

/// One registered program. Stateless itself: a process's state is the byte array, zeroed, that `start` fills.
class Program {
 public:
  virtual std::string_view name() const = 0;
  virtual std::size_t state_bytes() const = 0;  // at most kProgramStateBytesMax
  /// Fills `state` from `args` ("key=value key=value"). May send first events through `context`.
  /// kBadArguments: an unknown key or a bad value; the process is not made.
  virtual Result<void> start(std::span<std::byte> state, std::string_view args, ProgramContext& context) const = 0;
  virtual void on_event(std::span<std::byte> state, const Event& event, ProgramContext& context) const = 0;
  /// The batch interface, for a program that only takes events in, whatever the number in one tick: it must not need the
  /// context. One that says so gets the events of its cell together, up to kProgramBatchMax of one tick and in canonical
  /// order, if it is alone there, else one by one through on_event(). Both have to leave the same state.
  virtual bool takes_batches() const { return false; }
  virtual void on_events(std::span<std::byte>, std::span<const Event>) const {}
  /// A number that stands for the process in lists: counter: its sum; wave: the tick at which it was reached, or -1.
  virtual std::int64_t value(std::span<const std::byte> state) const = 0;

 protected:
  ~Program() = default;
};

/// The built-in programs: "phold", "counter", "wave" ("relay" is the rule of a cell without processes and, as a
/// program, does the same for its cell's edges). nullptr: none of that name.
const Program* find_program(std::string_view name);
std::span<const Program* const> all_programs();

}  // namespace rse
