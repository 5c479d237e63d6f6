// A guest on a memory where everybody is of another cluster: what it says, and that it does not stay.
#include <doctest/doctest.h>

#include <asio/io_context.hpp>
#include <regex>
#include <thread>

#include "guest_kernel/test/guest.h"
#include "tests/e2e/process.h"
#include "transport/ivshmem/doorbell_server.h"
#include "transport/ivshmem/ivshmem_transport.h"

namespace rse {
namespace {

std::ptrdiff_t count_of(const std::string& text, const char* pattern) {
  const std::regex regex(pattern);
  return std::distance(std::sregex_iterator(text.begin(), text.end(), regex), std::sregex_iterator());
}

}  // namespace

TEST_CASE("guest: one that only meets another cluster says so once, with the time, and ends") {
  const TemporaryFolder folder;
  asio::io_context loop(1);
  std::string failure;
  const std::string memory = "ivshmem:" + folder.path("memory");
  const auto server = DoorbellServer::start(loop, {.memory = memory, .socket = folder.path("bells")}, failure);
  REQUIRE_MESSAGE(server != nullptr, failure);
  std::vector<std::string> heard;
  TransportCallbacks callbacks;
  callbacks.on_up = [&](const Hello&) { heard.emplace_back("a link"); };
  callbacks.on_down = [](NodeId, bool) {};
  callbacks.on_message = [](NodeId, std::span<const std::byte>) {};
  callbacks.on_failure = [&](const std::string&, const std::string& why) { heard.push_back(why); };
  const auto stranger = make_ivshmem_transport(loop, {.listen = memory}, std::move(callbacks), failure);
  REQUIRE_MESSAGE(stranger != nullptr, failure);
  const Member self{.node = {1}, .incarnation = 1, .name = "stranger", .addresses = {}};
  stranger->set_hello({.cluster = {0x1111}, .self = self});
  std::thread serving([&loop] { loop.run(); });
  const GuestRun done = run_guest({.image = "guest_kernel/kernel",
                                   .command_line = "node=guest id=2 incarnation=1 cluster=2222",
                                   .memory_megabytes = 512,
                                   .devices = {"-chardev", "socket,id=b,path=" + folder.path("bells"), "-device",
                                               "ivshmem-doorbell,vectors=1,chardev=b"}});
  loop.stop();
  serving.join();
  stranger->stop();
  CHECK_MESSAGE(done.exit_code == kGuestFailed, done.serial);
  const char* const refusal = R"(\[\d+\.\d{3}\] node: link_failure text="cannot join slot \d: it runs cluster 0{12}1111)";
  CHECK_MESSAGE(count_of(done.serial, refusal) == 1, done.serial);
  CHECK_MESSAGE(count_of(done.serial, R"(\[\d+\.\d{3}\] node: gives up)") == 1, done.serial);
  REQUIRE(!heard.empty());
  for (const std::string& what : heard) CHECK_MESSAGE(count_of(what, "it runs cluster 0{12}2222") == 1, what);
}

}  // namespace rse
