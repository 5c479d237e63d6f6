// The ivshmem doorbell server that QEMU's device `ivshmem-doorbell` connects to: gives each guest the memory and a slot, lets
// guests ring each other by eventfd, and carries bells between guests and host processes (ring.md, "Sleeping and bells").
//
//   -chardev socket,path=SOCKET,id=c -device ivshmem-doorbell,chardev=c,vectors=1      (the id that the guest reads is its slot)
//
// Protocol (QEMU docs/specs/ivshmem-spec.txt): i64 little-endian messages to the client, some with a descriptor: version 0; its id;
// -1 with the memory; then slot and eventfd of each other slot, its own last. Nothing follows: a slot's eventfd outlives whoever has the slot.
// Threads: the event loop's. Memory: small. Errors: sentences. A client that sends anything, or does not read, is closed.
#pragma once

#include <asio/io_context.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace rse {

struct DoorbellOptions {
  std::string memory;  // "ivshmem:NAME"; made when it is not there
  std::string socket;  // path
  /// A guest's QEMU has connected, or is gone. From the event loop.
  std::function<void(std::uint32_t slot, bool here)> on_guest = [](std::uint32_t, bool) {};
};

class DoorbellServer {
 public:
  /// nullptr: `error` names thing, cause and next step.
  static std::unique_ptr<DoorbellServer> start(asio::io_context& loop, DoorbellOptions options, std::string& error);
  /// Guests that are connected keep memory and bells among each other; bells between them and host processes end.
  ~DoorbellServer();
  DoorbellServer(const DoorbellServer&) = delete;
  DoorbellServer& operator=(const DoorbellServer&) = delete;

 private:
  struct Core;
  explicit DoorbellServer(std::shared_ptr<Core> core);
  std::shared_ptr<Core> core_;
};

}  // namespace rse
