// The local control API (proto/rse/v1/control.proto): what `rse` talks to. Over a Unix socket that only its owner may
// open, or TCP on a loopback address.
// Threads: the loop's. Memory: kControlClientsMax clients, one message of at most kControlBytesMax each way at a time; a
// client that does not read its replies is closed. Errors: a bad request gets a ControlError, a bad frame ends the client.
#pragma once

#include <asio/generic/stream_protocol.hpp>
#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "node/history/history.h"
#include "node/shell.h"
#include "proto/rse/v1/control.pb.h"

namespace rse {

inline constexpr std::size_t kControlClientsMax = 64;
inline constexpr std::size_t kControlBytesMax = (64u << 20) + 1024;
inline constexpr std::size_t kControlQueueBytesMax = 96u << 20;
inline constexpr std::uint32_t kControlVersion = 1;

class ControlServer {
 public:
  ControlServer(asio::io_context& loop, NodeShell& shell, std::string version, std::function<void()> on_stop);
  ~ControlServer();

  /// `where`: a path, or HOST:PORT with a loopback address. Returns what went wrong, for a person; empty: listening.
  std::string listen(const std::string& where);
  /// What happens from now on is kept there; without it, requests for the past are refused.
  void keep_history(std::unique_ptr<HistoryStore> store, std::function<void(const std::string&)> warn);
  void on_incident(const Incident& incident);
  /// Closes everything and removes the socket.
  void stop();

 private:
  using Socket = asio::generic::stream_protocol::socket;
  class Session;
  friend class Session;
  struct Bench;

  void accept();
  void handle(const std::shared_ptr<Session>& session, const v1::ControlRequest& request);
  void status(v1::StatusReply& reply);
  void inject(const std::shared_ptr<Session>& session, const v1::ControlRequest& request);
  void load(v1::ControlReply& reply, const v1::LoadRequest& request);
  void ps(const std::shared_ptr<Session>& session, std::uint64_t id, const v1::PsRequest& request);
  void cells(v1::ControlReply& reply, const v1::CellsRequest& request);
  void outputs(const std::shared_ptr<Session>& session, std::uint64_t id, const v1::OutputsRequest& request);
  void state(const std::shared_ptr<Session>& session, std::uint64_t id, const v1::StateRequest& request);
  void verify(v1::ControlReply& reply, const v1::VerifyRequest& request);
  void kill_node(v1::ControlReply& reply, const v1::KillNodeRequest& request);
  void bench(const std::shared_ptr<Session>& session, std::uint64_t id, const v1::BenchRequest& request);
  void override_majority(v1::ControlReply& reply, const v1::OverrideRequest& request);
  void ticket_create(const std::shared_ptr<Session>& session, std::uint64_t id, const v1::TicketCreateRequest& request);
  void ticket_list(v1::ControlReply& reply);
  void decide(const std::shared_ptr<Session>& session, v1::ControlReply reply, const TrustChange& change, std::string failure);
  void ticket_revoke(const std::shared_ptr<Session>& session, std::uint64_t id, const v1::TicketRevokeRequest& request);
  void forget(const std::shared_ptr<Session>& session, std::uint64_t id, const v1::ForgetRequest& request);
  void history(const std::shared_ptr<Session>& session, std::uint64_t id, const v1::HistoryRequest& request);

  asio::io_context& loop_;
  NodeShell& shell_;
  std::string version_;
  std::function<void()> on_stop_;
  Instant started_ = monotonic_now();
  int listener_ = -1;
  std::unique_ptr<asio::posix::stream_descriptor> acceptor_;
  std::string socket_path_;
  std::set<std::shared_ptr<Session>> sessions_;
  std::unique_ptr<History> history_;
  asio::steady_timer kill_timer_;
};

}  // namespace rse
