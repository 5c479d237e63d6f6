// What a client of a cluster needs beyond one connection: the host of a torus, requests that survive the death of the node
// they were given to, a scenario that runs once it is loaded.
// Threads: one at a time. Memory: connections. Errors: ControlFailure.
#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "node/control_client.h"
#include "torus/base/bytes.h"
#include "torus/base/strong.h"

namespace rse {

/// A connection to the daemon that hosts `torus`, of those within reach. The others cannot look into it.
std::unique_ptr<ControlClient> connect_to_host(TorusId torus, const std::vector<std::string>& given,
                                               ControlFailure& failure);

/// Sends requests under one client id, one at a time. A node that dies is replaced by the next one that answers, and the
/// request is repeated with its sequence: the torus takes it once.
class Requester {
 public:
  explicit Requester(std::vector<std::string> given, std::chrono::seconds limit = std::chrono::seconds(30));
  struct Answer {
    v1::ControlInjectReply reply;
    int attempts = 1;
  };
  std::optional<Answer> inject(CellId dst, std::optional<CellId> src, std::int32_t payload, ControlFailure& failure);
  std::optional<Answer> spawn(CellId cell, const std::string& program, const std::string& args, ControlFailure& failure);

 private:
  std::optional<Answer> repeat(v1::ControlRequest& request, ControlFailure& failure);

  std::vector<std::string> given_;
  std::chrono::seconds limit_;
  std::uint64_t client_id_;
  std::uint64_t sequence_ = 0;
  std::size_t next_ = 0;
  std::unique_ptr<ControlClient> client_;
};

/// Loads canonical bytes and waits until every torus runs them.
bool load_scenario(const std::vector<std::string>& given, const Bytes& scenario, std::chrono::seconds limit,
                   std::uint64_t& run, ControlFailure& failure, const std::function<void(std::size_t, std::size_t)>& on_sent = {});

/// Random, not 0; from the system.
std::uint64_t random_id();

}  // namespace rse
