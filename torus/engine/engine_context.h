// What a program of the engine sees and may do while it handles one event, or starts.
// Size: a few words on the stack. Threads, memory: the torus's. Errors: as program.h says; refusals
// are counted. Invariant: a process acts on its own cell only, except by events and by spawning in
// its own torus.
#pragma once

#include "torus/engine/engine.h"
#include "torus/engine/program.h"

namespace rse {

class EngineContext final : public ProgramContext {
 public:
  /// A starting process may not spawn: chains of starts would need stack without bound.
  enum class Phase : std::uint8_t { kStart, kEvent };

  EngineContext(Engine& engine, Process& process, Tick now, Phase phase)
      : engine_(engine), process_(process), now_(now), phase_(phase) {}

  Tick now() const override { return now_; }
  CellId cell() const override { return {engine_.first_cell + process_.cell}; }
  Pid pid() const override { return {process_.pid}; }
  std::size_t edge_count() const override;
  CellId edge_target(std::size_t index) const override;
  std::uint32_t edge_delay(std::size_t index) const override;
  std::optional<std::int32_t> max_payload() const override;
  Result<void> send(CellId to, std::uint32_t delay, std::int32_t payload) override;
  Result<void> connect(CellId to, std::uint32_t delay) override;
  Result<Pid> spawn(CellId at, std::string_view program, std::string_view args) override;
  void exit() override { exiting_ = true; }
  void output(std::int64_t value) override;
  std::uint64_t random() override;

  bool exiting() const { return exiting_; }

 private:
  Engine& engine_;
  Process& process_;
  Tick now_;
  Phase phase_;
  bool exiting_ = false;
};

}  // namespace rse
