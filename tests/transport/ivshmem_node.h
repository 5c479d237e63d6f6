// One participant of a shared memory in a test: writes down what it hears.
#pragma once

#include <unistd.h>

#include <functional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "tests/transport/tcp_node.h"
#include "transport/ivshmem/ivshmem_transport.h"

namespace rse::testing {

/// A name in /dev/shm that no other test uses, and nothing of it there when the test ends. Random: tests in sandboxes of their
/// own have the same process numbers, and one /dev/shm.
class MemoryName {
 public:
  MemoryName() : name_("rse-test-" + std::to_string(std::random_device{}()) + "-" + std::to_string(std::random_device{}())) {}
  ~MemoryName() {
    const std::string path = "/dev/shm/" + name_;
    ::unlink(path.c_str());
    for (int slot = 0; slot < 8; ++slot) ::unlink((path + ".bell." + std::to_string(slot)).c_str());
  }
  MemoryName(const MemoryName&) = delete;
  MemoryName& operator=(const MemoryName&) = delete;
  std::string address(const std::string& options = "size-mb=4") const { return "ivshmem:" + name_ + "?" + options; }
  std::string path() const { return "/dev/shm/" + name_; }

 private:
  std::string name_;
};

struct IvshmemNode {
  IvshmemNode(asio::io_context& loop, const std::string& listen, std::uint64_t id, std::uint64_t incarnation = 1,
              std::uint64_t cluster = 0) {
    TransportCallbacks callbacks;
    callbacks.on_up = [this](const Hello& peer) { ups.push_back(peer); };
    callbacks.on_down = [this](NodeId peer, bool proof) { downs.push_back({peer, proof}); };
    callbacks.on_message = [this](NodeId peer, std::span<const std::byte> message) {
      ++message_count;
      if (on_message) return on_message(peer, message);
      messages.push_back({peer, Bytes(message.begin(), message.end())});
    };
    callbacks.on_failure = [this](const std::string&, const std::string& why) { failures.push_back(why); };
    transport = make_ivshmem_transport(loop, {.listen = listen}, std::move(callbacks), error);
    if (!transport) return;
    hello.cluster = {cluster};
    hello.self.node = {id};
    hello.self.incarnation = incarnation;
    hello.self.name = "node" + std::to_string(id);
    transport->set_hello(hello);
  }
  bool linked(std::uint64_t peer) const {
    for (const LinkStats& stats : transport->stats()) {
      if (stats.peer.raw == peer) return stats.connected;
    }
    return false;
  }
  bool failed_with(const std::string& part) const {
    for (const std::string& why : failures) {
      if (why.find(part) != std::string::npos) return true;
    }
    return false;
  }

  Hello hello;
  std::string error;
  std::unique_ptr<Transport> transport;
  std::function<void(NodeId, std::span<const std::byte>)> on_message;
  std::vector<Hello> ups;
  std::vector<std::pair<NodeId, bool>> downs;
  std::vector<std::pair<NodeId, Bytes>> messages;
  std::uint64_t message_count = 0;
  std::vector<std::string> failures;
};

}  // namespace rse::testing
