// Two guests on one memory exchange a thousand projections; the latencies that they print are for people.
#include <doctest/doctest.h>

#include <asio/io_context.hpp>
#include <cstdio>
#include <thread>

#include "guest_kernel/test/guest.h"
#include "tests/e2e/process.h"
#include "transport/ivshmem/doorbell_server.h"

using namespace rse;

TEST_CASE("guest: two guests exchange projections through shared memory, looking and by doorbells") {
  const TemporaryFolder folder;
  asio::io_context loop(1);
  std::string failure;
  const auto server =
      DoorbellServer::start(loop, {.memory = "ivshmem:" + folder.path("memory"), .socket = folder.path("bells")}, failure);
  REQUIRE_MESSAGE(server != nullptr, failure);
  std::thread serving([&loop] { loop.run(); });
  const GuestOptions options{.image = "guest_kernel/test/tests",
                             .command_line = "test=device-exchange",
                             .devices = {"-chardev", "socket,id=b,path=" + folder.path("bells"), "-device",
                                         "ivshmem-doorbell,vectors=1,chardev=b"}};
  GuestRun other;
  std::thread second([&] { other = run_guest(options); });
  const GuestRun one = run_guest(options);
  second.join();
  loop.stop();
  serving.join();
  CHECK_MESSAGE(one.exit_code == kGuestDone, one.serial);
  CHECK_MESSAGE(other.exit_code == kGuestDone, other.serial);
  const std::string said = one.serial + other.serial;
  for (const char* way : {"exchange: looking", "exchange: doorbells"}) {
    const std::size_t begin = said.find(way);
    REQUIRE_MESSAGE(begin != std::string::npos, said);
    std::printf("%s\n", said.substr(begin, said.find('\n', begin) - begin).c_str());
  }
}
