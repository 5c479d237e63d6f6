#include <doctest/doctest.h>

#include <asio/io_context.hpp>
#include <string>
#include <thread>

#include "guest_kernel/test/guest.h"
#include "tests/e2e/process.h"
#include "transport/ivshmem/doorbell_server.h"

using namespace rse;

namespace {

GuestRun run_device_case(const std::string& name, const std::vector<std::string>& devices) {
  return run_guest({.image = "guest_kernel/test/tests", .command_line = "test=device-" + name, .devices = devices});
}

/// QEMU's words for a device that has only this interface.
struct Interface {
  std::string name;
  std::string words;
};
const std::vector<Interface> kInterfaces = {{"modern", ",disable-legacy=on,disable-modern=off"},
                                            {"legacy", ",disable-legacy=off,disable-modern=on"}};

}  // namespace

TEST_CASE("devices: virtio-blk reads and writes what the host's file has, by either interface") {
  for (const Interface& interface : kInterfaces) {
    CAPTURE(interface.name);
    const TemporaryFolder folder;
    std::string sectors;
    for (int sector = 0; sector < 256; ++sector) sectors += std::string(512, static_cast<char>(sector));
    write_file(folder.path("disk"), sectors);
    const GuestRun run = run_device_case("block", {"-drive", "if=none,id=d,format=raw,file=" + folder.path("disk"),
                                                   "-device", "virtio-blk-pci,drive=d" + interface.words});
    INFO(run.serial);
    CHECK(run.exit_code == kGuestDone);
    std::string expected = sectors;
    expected.replace(200 * 512, 5 * 512, std::string(5 * 512, '\xa5'));
    CHECK(read_file(folder.path("disk")) == expected);
  }
}

TEST_CASE("devices: virtio-net sends and receives by either interface") {
  for (const Interface& interface : kInterfaces) {
    CAPTURE(interface.name);
    const GuestRun run =
        run_device_case("net", {"-netdev", "user,id=n,restrict=on", "-device", "virtio-net-pci,netdev=n" + interface.words});
    INFO(run.serial);
    CHECK(run.exit_code == kGuestDone);
  }
}

TEST_CASE("devices: a firmware that places no device leaves that to the kernel, ports and memory") {
  for (const Interface& interface : kInterfaces) {
    CAPTURE(interface.name);
    const GuestRun run = run_device_case("net", {"-bios", "qboot.rom", "-netdev", "user,id=n,restrict=on", "-device",
                                                 "virtio-net-pci,netdev=n" + interface.words});
    INFO(run.serial);
    CHECK(run.exit_code == kGuestDone);
  }
}

TEST_CASE("devices: memory shared by ivshmem has the same bytes on the host and in the guest") {
  const TemporaryFolder folder;
  std::string bytes(1u << 20, '\0');
  bytes.replace(0, 13, "from the host");
  bytes.replace(bytes.size() - 4, 4, "last");
  write_file(folder.path("shared"), bytes);
  const GuestRun run =
      run_device_case("ivshmem", {"-object", "memory-backend-file,id=m,share=on,size=1M,mem-path=" + folder.path("shared"),
                                  "-device", "ivshmem-plain,memdev=m"});
  INFO(run.serial);
  CHECK(run.exit_code == kGuestDone);
  CHECK(read_file(folder.path("shared")).substr(4096, 14) == "from the guest");
}

TEST_CASE("devices: ivshmem's doorbells, by a server of ours, wake the guest through MSI-X") {
  const TemporaryFolder folder;
  asio::io_context loop(1);
  std::string failure;
  const auto server = DoorbellServer::start(
      loop, {.memory = "ivshmem:" + folder.path("shared") + "?size-mb=1", .socket = folder.path("doorbells")}, failure);
  REQUIRE_MESSAGE(server != nullptr, failure);
  std::thread serving([&loop] { loop.run(); });
  const GuestRun run = run_device_case("ring", {"-chardev", "socket,id=b,path=" + folder.path("doorbells"),
                                                "-device", "ivshmem-doorbell,vectors=1,chardev=b"});
  loop.stop();
  serving.join();
  INFO(run.serial);
  CHECK(run.exit_code == kGuestDone);
}

TEST_CASE("devices: a device that is not there is named, with what to do") {
  for (const char* name : {"block", "net", "ivshmem"}) {
    CAPTURE(name);
    const GuestRun run = run_device_case(name, {});
    INFO(run.serial);
    CHECK(run.exit_code == kGuestFailed);
    CHECK(run.serial.find("start the machine with -device") != std::string::npos);
  }
}

TEST_CASE("devices: the serial line's letters arrive by interrupt") {
  const TemporaryFolder folder;
  write_file(folder.path("typed"), std::string(200, 'a'));
  const GuestRun run = run_guest({.image = "guest_kernel/test/tests",
                                  .command_line = "test=device-serial",
                                  .serial_input = folder.path("typed")});
  INFO(run.serial);
  CHECK(run.exit_code == kGuestDone);
}
