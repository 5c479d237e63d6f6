#include "guest_kernel/test/guest.h"

#include <doctest/doctest.h>

using namespace rse;

TEST_CASE("guest: the kernel's own tests pass inside the guest") {
  const GuestRun run = run_guest({.image = "guest_kernel/test/tests", .memory_megabytes = 512});
  INFO(run.serial);
  CHECK(run.exit_code == kGuestDone);
  CHECK(run.serial.find("failed=0") != std::string::npos);
}

TEST_CASE("guest: the kernel boots through PVH and says what it found") {
  const GuestRun run = run_guest({.image = "guest_kernel/kernel"});
  INFO(run.serial);
  CHECK(run.exit_code == kGuestDone);
  CHECK(run.serial.find("rse kernel: started loader=PVH memory_bytes=13") != std::string::npos);
}

TEST_CASE("guest: an unknown option is named and ends the run") {
  const GuestRun run = run_guest({.image = "guest_kernel/kernel", .command_line = "memory=1G colour=red"});
  INFO(run.serial);
  CHECK(run.exit_code == kGuestFailed);
  CHECK(run.serial.find("kernel option \"colour=red\" is unknown; there are node=NAME") != std::string::npos);
}

TEST_CASE("guest: each kind of crash is reported with its cause and the names of the callers, and ends the run") {
  struct Crash {
    std::string name;
    std::string cause;
    std::string caller;
  };
  const std::vector<Crash> crashes = {
      {"null", "writing 0000000000000010, where nothing is mapped (a null pointer)", "crash_here"},
      {"constant", "page fault: writing", "crash_here"},
      {"execute", "page fault: executing", "run_on_main_stack"},
      {"overflow", "(beyond the end of a stack)", "fill_stack + "},
      {"invalid", "exception 6, invalid instruction", "crash_here"},
      {"assertion", "assertion failed: on purpose", "crash_here"},
      {"memory", "out of memory: give the machine more (qemu -m)", "allocate_or_panic"},
      {"freed", "writing", "crash_here"},
  };
  for (const Crash& crash : crashes) {
    CAPTURE(crash.name);
    const GuestRun run = run_guest({.image = "guest_kernel/test/tests", .command_line = "test=crash-" + crash.name});
    INFO(run.serial);
    CHECK(run.exit_code == kGuestPanic);
    CHECK(run.serial.find(crash.cause) != std::string::npos);
    CHECK(run.serial.find(crash.caller) != std::string::npos);
  }
}

TEST_CASE("guest: a node that cannot take part says what is missing") {
  struct Case {
    std::string options;
    std::vector<std::string> devices;
    std::string said;
  };
  const std::vector<std::string> memory = {"-object", "memory-backend-ram,id=m,share=on,size=1M", "-device", "ivshmem-plain,memdev=m"};
  for (const Case& wrong : {Case{"node=a", {}, "node= needs id=HEX"},
                            {"node=a id=1 cluster=2", {}, "there is no ivshmem device; start the machine with -device"},
                            {"node=a id=1 cluster=2", memory, "give slot=NUMBER"},
                            {"node=a id=1 cluster=2 slot=8", memory, "8 places"},
                            {"node=a id=1 cluster=2 slot=7", memory, "the shared memory is none of this version"}}) {
    CAPTURE(wrong.options);
    const GuestRun run = run_guest({.image = "guest_kernel/kernel", .command_line = wrong.options, .devices = wrong.devices});
    INFO(run.serial);
    CHECK(run.exit_code == kGuestFailed);
    CHECK(run.serial.find(wrong.said) != std::string::npos);
  }
}
