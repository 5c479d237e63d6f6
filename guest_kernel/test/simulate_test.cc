#include <doctest/doctest.h>

#include <cstdio>
#include <optional>

#include "guest_kernel/test/guest.h"
#include "node/local_run.h"
#include "node/scenario_text.h"
#include "tests/e2e/process.h"

using namespace rse;

namespace {

struct Simulated {
  std::string name;
  std::uint64_t epochs;
};

std::string hex_of(const Digest256& digest) {
  std::string hex;
  char digits[3];
  for (const std::uint8_t byte : digest.bytes) {
    std::snprintf(digits, sizeof digits, "%02x", byte);
    hex += digits;
  }
  return hex;
}

/// What the guest has to print of this torus.
std::string expected_line(LocalRun& run, TorusId id) {
  TorusMachine& machine = run.machine(id);
  const TorusCounters& counters = machine.torus().counters();
  char event_digest[17];
  std::snprintf(event_digest, sizeof event_digest, "%016llx",
                static_cast<unsigned long long>(machine.torus().event_digest()));
  return std::string("torus ") + letter_of(id) + ": events=" + std::to_string(counters.events) +
         " pending=" + std::to_string(machine.torus().pending_count()) + " refused=" + std::to_string(counters.refused) +
         " corrective=" + std::to_string(counters.corrective) + " violations=" + std::to_string(machine.violations_total()) +
         " event_digest=" + event_digest + " state_digest=" + hex_of(machine.region_digests().state_digest());
}

}  // namespace

TEST_CASE("guest: three tori in the guest give the events and digests of rse simulate, bit for bit") {
  for (const Simulated& simulated : {Simulated{"ring", 50}, {"lattice_coupled", 30}, {"phold_small", 40}}) {
    CAPTURE(simulated.name);
    std::string failure;
    const auto scenario = read_scenario("deploy/scenarios/" + simulated.name + ".textproto", failure);
    REQUIRE_MESSAGE(scenario.has_value(), failure);
    LocalRun host({.threads = RunThreads::kOne});
    REQUIRE(host.load(*scenario, failure));
    host.run(Epoch{simulated.epochs});

    const TemporaryFolder folder;
    const Bytes bytes = encode_scenario(*scenario);
    write_file(folder.path("scenario"), std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
    const GuestRun guest = run_guest({.image = "guest_kernel/kernel",
                                      .command_line = "simulate=" + std::to_string(simulated.epochs),
                                      .module = folder.path("scenario"),
                                      .memory_megabytes = 640});
    INFO(guest.serial);
    CHECK(guest.exit_code == kGuestDone);
    for (std::uint8_t id = 0; id < kTorusCount; ++id) {
      CHECK(guest.serial.find(expected_line(host, {id})) != std::string::npos);
    }
  }
}

TEST_CASE("guest: a scenario that is none, or that does not fit into memory, is said and ends the run") {
  const TemporaryFolder folder;
  write_file(folder.path("text"), "epoch_ticks: 1000");
  const GuestRun damaged = run_guest(
      {.image = "guest_kernel/kernel", .command_line = "simulate=5", .module = folder.path("text"), .memory_megabytes = 640});
  INFO(damaged.serial);
  CHECK(damaged.exit_code == kGuestFailed);
  CHECK(damaged.serial.find("the scenario module cannot be read") != std::string::npos);

  const Bytes bytes = encode_scenario({});
  write_file(folder.path("scenario"), std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  const GuestRun small = run_guest(
      {.image = "guest_kernel/kernel", .command_line = "simulate=5 memory=100M", .module = folder.path("scenario")});
  INFO(small.serial);
  CHECK(small.exit_code == kGuestPanic);
  CHECK(small.serial.find("choose a smaller capacity") != std::string::npos);
}
