// What QEMU's ivshmem-doorbell devices connect to: gives each guest the shared memory, a number, and everybody's doorbells.
// Protocol: QEMU docs/specs/ivshmem-spec.rst, "Interrupt-enabled device", client-server protocol version 0.
// Size: kPeersMax guests. Threads: its own, until destroyed. Memory: a few descriptors a peer. Errors: the constructor's, as a sentence
// in failure(); a peer that goes is announced to the others.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace rse {

class DoorbellServer {
 public:
  /// Listens at the Unix socket `path` (removed with the object) and shares the file open at `memory`, with `vectors` doorbells
  /// for each guest.
  DoorbellServer(const std::string& path, int memory, int vectors);
  ~DoorbellServer();
  DoorbellServer(const DoorbellServer&) = delete;
  DoorbellServer& operator=(const DoorbellServer&) = delete;

  const std::string& failure() const { return failure_; }

 private:
  struct Peer {
    int socket = -1;
    std::vector<int> doorbells;  // eventfds
  };
  void serve();
  void admit();
  void dismiss(std::uint16_t id);

  static constexpr std::size_t kPeersMax = 16;

  std::string path_;
  std::string failure_;
  int memory_;
  int vectors_;
  int listening_ = -1;
  int stop_ = -1;  // an eventfd
  std::map<std::uint16_t, Peer> peers_;
  std::thread thread_;
};

}  // namespace rse
