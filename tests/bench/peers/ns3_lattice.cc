// The lattice for ns-3: an event is a call of receive() that ns3::Simulator::Schedule() keeps.
//   ns3_lattice FILE [SCHEDULER]    a scheduler's type name; ns-3's own choice is ns3::MapScheduler
// A tick is ns-3's unit of time, and what is due in one tick comes in the order in which it was scheduled. Where that
// shows, with mixed delays, the canonical order of a cell's events is made part of the time, below the tick's number.
#include <ns3/core-module.h>

#include <cstdint>
#include <cstdio>
#include <string>

#include "lattice.h"

namespace {

constexpr int kOrderBits = 34;

lattice* model;
lattice_meter meter;
int shift;  // from a tick to ns-3's time

std::int64_t time_of(std::uint64_t tick, std::uint32_t dst, std::uint32_t src, std::int32_t payload) {
  const std::uint64_t order = shift == 0 ? 0 : lattice_order(dst, src, payload);
  return static_cast<std::int64_t>(tick << shift | order);
}

void receive(std::uint32_t here, std::uint32_t source, std::int32_t payload) {
  const std::int64_t now = ns3::Simulator::Now().GetTimeStep();
  const std::uint64_t tick = static_cast<std::uint64_t>(now) >> shift;
  lattice_count(&meter, tick, here, source, payload);
  if (lattice_done(&meter)) return;
  lattice_cell& cell = model->cells[here];
  const std::uint32_t delay = lattice_delay(&cell, payload);
  const std::int32_t next = lattice_next_payload(payload);
  const std::int64_t at = time_of(tick + delay, cell.target, here, next);
  ns3::Simulator::Schedule(ns3::TimeStep(static_cast<std::uint64_t>(at - now)), &receive, cell.target, here, next);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 && argc != 3) {
    std::fprintf(stderr, "usage: ns3_lattice FILE [SCHEDULER]\n");
    return 2;
  }
  model = lattice_read(argv[1]);
  meter = lattice_meter_of(model);
  shift = std::string(model->model) == "delay-1" ? 0 : kOrderBits;
  if (argc == 3) {
    ns3::ObjectFactory factory;
    factory.SetTypeId(argv[2]);
    ns3::Simulator::SetScheduler(factory);
  }
  for (std::uint32_t i = 0; i < model->event_count; ++i) {
    const lattice_event& event = model->events[i];
    const std::int64_t at = time_of(event.tick, event.cell, event.cell, event.payload);
    ns3::Simulator::Schedule(ns3::TimeStep(static_cast<std::uint64_t>(at)), &receive, event.cell, event.cell,
                             event.payload);
  }
  ns3::Simulator::Run();
  const bool same = lattice_print(&meter) != 0;
  ns3::Simulator::Destroy();
  return same ? 0 : 1;
}
