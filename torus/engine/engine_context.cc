#include "torus/engine/engine_context.h"

namespace rse {

std::size_t EngineContext::edge_count() const {
  return engine_.lattice.edges(process_.cell).size();
}

CellId EngineContext::edge_target(std::size_t index) const {
  RSE_ASSERT(index < edge_count(), "a program asked for an edge that its cell does not have");
  return {engine_.lattice.edges(process_.cell)[index].target};
}

std::uint32_t EngineContext::edge_delay(std::size_t index) const {
  RSE_ASSERT(index < edge_count(), "a program asked for an edge that its cell does not have");
  return engine_.lattice.edges(process_.cell)[index].delay;
}

std::optional<std::int32_t> EngineContext::max_payload() const {
  return engine_.lattice.limit(process_.cell);
}

Result<void> EngineContext::send(CellId to, std::uint32_t delay, std::int32_t payload) {
  return engine_.send(now_.raw, process_.cell, to, delay, payload);
}

Result<void> EngineContext::connect(CellId to, std::uint32_t delay) {
  return engine_.connect(process_.cell, to, delay);
}

Result<Pid> EngineContext::spawn(CellId at, std::string_view program, std::string_view args) {
  if (phase_ == Phase::kStart) return engine_.refuse(Error::kProcessesFull);
  return engine_.spawn(at, program, args, now_);
}

void EngineContext::output(std::int64_t value) { engine_.output(now_, process_.cell, value); }

std::uint64_t EngineContext::random() {
  Random source(process_.random);
  const std::uint64_t value = source.next();
  process_.random = source.state();
  return value;
}

}  // namespace rse
