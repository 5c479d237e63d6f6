#include "guest_kernel/torus/simulate.h"

#include <array>
#include <memory>

#include "guest_kernel/arch/x86_64/clock.h"
#include "guest_kernel/runtime/print.h"
#include "torus/braid/torus_machine.h"

namespace rse::kernel {
namespace {

constexpr RunId kRun{1};  // as `rse simulate` has it

using Machines = std::array<std::unique_ptr<TorusMachine>, kTorusCount>;

/// Runs the next epoch of all three before any of them seals: own_packet() then still has the epoch that the others need.
void run_next_epoch(Machines& machines) {
  for (std::uint8_t id = 0; id < kTorusCount; ++id) {
    TorusMachine& machine = *machines[id];
    const Packet* from_next = nullptr;
    const Packet* from_previous = nullptr;
    if (machine.needs_inputs()) {
      from_next = machines[next_torus({id}).raw]->own_packet(machine.input_epoch());
      from_previous = machines[previous_torus({id}).raw]->own_packet(machine.input_epoch());
    }
    machine.run_epoch(from_next, from_previous);
  }
  for (auto& machine : machines) static_cast<void>(machine->seal({}));
}

void print_torus(TorusMachine& machine) {
  Text digest;
  for (const std::uint8_t byte : machine.region_digests().state_digest().bytes) digest.add(Hex{byte, 2});
  const TorusCounters& counters = machine.torus().counters();
  print_line("torus ", letter_of(machine.id()), ": events=", counters.events, " pending=", machine.torus().pending_count(),
             " refused=", counters.refused, " corrective=", counters.corrective, " violations=", machine.violations_total(),
             " event_digest=", Hex{machine.torus().event_digest()}, " state_digest=", digest.view());
}

}  // namespace

ExitCode simulate(std::span<const std::byte> bytes, Epoch epochs) {
  const Result<Scenario> scenario = decode_scenario(bytes);
  if (!scenario) {
    print_line("simulate: the scenario module cannot be read: ", to_string(scenario.error()),
               "; make it with encode_scenario() of the same version");
    return ExitCode::kFailed;
  }
  Machines machines;
  for (std::uint8_t id = 0; id < kTorusCount; ++id) {
    machines[id] = std::make_unique<TorusMachine>(TorusId{id}, Capacity{});
    if (const Result<void> loaded = machines[id]->load(kRun, *scenario); !loaded) {
      print_line("simulate: torus ", letter_of({id}), " cannot load the scenario: ", to_string(loaded.error()));
      return ExitCode::kFailed;
    }
    machines[id]->set_leap_limit(epochs);
  }
  const Instant begin = now();
  while (machines[0]->next_epoch() < epochs) run_next_epoch(machines);
  const Duration took = elapsed(begin, now());
  for (auto& machine : machines) print_torus(*machine);
  print_line("simulate: epochs=", epochs.raw, " end_tick=", machines[0]->next_start().raw, " microseconds=", took.raw / 1000);
  for (auto& machine : machines) {
    if (machine->alarm().empty()) continue;
    print_line("simulate: ", std::string_view(machine->alarm()));
    return ExitCode::kFailed;
  }
  return ExitCode::kDone;
}

}  // namespace rse::kernel
