// A blocking connection to a daemon's control API, for `rse` and the launchers.
// Threads: one at a time. Memory: one message of at most kControlClientBytesMax. Errors: ControlFailure, with the exit code that
// the command should end with.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proto/rse/v1/control.pb.h"

namespace rse {

inline constexpr int kExitDone = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitUnreachable = 3;
inline constexpr int kExitDegraded = 10;

struct ControlFailure {
  int exit_code = kExitFailed;
  std::string text;  // thing, cause, next step
  v1::ControlError::Code code = v1::ControlError::UNKNOWN;
};

class ControlClient {
 public:
  /// `where`: as parse_control_address() takes it.
  static std::unique_ptr<ControlClient> connect(const std::string& where, ControlFailure& failure);
  ~ControlClient();
  ControlClient(const ControlClient&) = delete;
  ControlClient& operator=(const ControlClient&) = delete;

  const std::string& where() const { return where_; }
  void set_limit(std::chrono::milliseconds limit) { limit_ = limit; }
  /// Called while a request is written, with bytes written and to be written.
  void set_sent_hook(std::function<void(std::size_t sent, std::size_t total)> hook) { on_sent_ = std::move(hook); }
  /// Sends `request` (version and id are filled in) and waits for its reply. An error reply is a failure.
  bool ask(v1::ControlRequest& request, v1::ControlReply& reply, ControlFailure& failure);
  /// Without waiting; returns the id, 0 on failure.
  std::uint64_t send(v1::ControlRequest& request, ControlFailure& failure);
  /// The next reply, whatever it belongs to.
  bool receive(v1::ControlReply& reply, ControlFailure& failure);

 private:
  ControlClient(int fd, std::string where) : fd_(fd), where_(std::move(where)) {}
  bool write_all(const std::string& bytes, ControlFailure& failure);
  bool read_all(char* to, std::size_t size, std::chrono::steady_clock::time_point deadline, ControlFailure& failure);

  int fd_;
  std::string where_;
  std::uint64_t last_id_ = 0;
  std::chrono::milliseconds limit_{30'000};
  std::function<void(std::size_t, std::size_t)> on_sent_;
};

/// Connects to `given` (the --control flags), else $RSE_CONTROL, else what is published on this machine; the first that
/// answers.
std::unique_ptr<ControlClient> connect_to_any(const std::vector<std::string>& given, ControlFailure& failure);
/// Addresses that connect_to_any() would try.
std::vector<std::string> control_candidates(const std::vector<std::string>& given);

/// Status in one call; the client may be used again.
std::optional<v1::StatusReply> ask_status(ControlClient& client, ControlFailure& failure);

/// The status of several nodes, again and again, over connections that are kept; who does not answer soon is left out.
class StatusPoll {
 public:
  std::vector<v1::StatusReply> ask(const std::vector<std::string>& where, ControlFailure& failure);

 private:
  std::map<std::string, std::unique_ptr<ControlClient>> clients_;
};

}  // namespace rse
