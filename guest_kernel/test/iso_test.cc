#include <doctest/doctest.h>

#include "guest_kernel/test/guest.h"

using namespace rse;

TEST_CASE("iso: the same kernel boots from a CD image by GRUB, with BIOS and with UEFI, on serial line and screen") {
  for (const char* firmware : {"", "/usr/share/ovmf/OVMF.fd"}) {
    CAPTURE(firmware);
    const GuestRun run = run_guest(
        {.iso = "deploy/rse.iso", .firmware = firmware, .memory_megabytes = 256, .limit = std::chrono::seconds(240)});
    INFO(run.serial);
    CHECK(run.exit_code == kGuestDone);
    CHECK(run.serial.find("rse kernel: started loader=Multiboot2") != std::string::npos);
    CHECK(run.serial.find("rse kernel: screen width=1024 height=768") != std::string::npos);
    CHECK(run.serial.find("no picture") == std::string::npos);
    CHECK(run.serial.find("assuming a usual PC") == std::string::npos);
  }
}
