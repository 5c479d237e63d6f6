// Serves HTTP on one address: requests to a handler, and a stream of events to every browser that asked for it.
// Threads: the loop's. Memory: kHttpClientsMax clients, one request and kHttpQueueBytesMax of replies each; a client that
// does not read is closed. Errors: a sentence from listen(); a bad client gets a status and is closed.
#pragma once

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "node/http/http_message.h"

namespace rse {

inline constexpr std::size_t kHttpClientsMax = 256;
inline constexpr std::size_t kHttpQueueBytesMax = 4u << 20;

class HttpServer {
 public:
  using Answer = std::function<void(HttpReply)>;
  struct Hooks {
    /// Calls `answer` once, now or later, on the loop's thread.
    std::function<void(const HttpRequest&, Answer answer)> on_request;
    /// Whether this request asks for the stream of events.
    std::function<bool(const HttpRequest&)> is_stream;
    /// By which a browser may ask for this server, beside those of this machine.
    std::vector<std::string> allowed_hosts;
    /// Without file descriptors left, until it looks again; a session that ends makes it look at once.
    std::chrono::milliseconds accept_pause{1000};
  };
  HttpServer(asio::io_context& loop, Hooks hooks);
  ~HttpServer();

  /// `where`: HOST:PORT. Empty: listening; otherwise what went wrong, for a person.
  std::string listen(const std::string& where);
  std::uint16_t port() const { return port_; }
  /// To all that listen to the stream.
  void broadcast(const std::string& event_bytes);
  /// What a new listener gets first.
  void set_greeting(std::string event_bytes) { greeting_ = std::move(event_bytes); }
  std::size_t listener_count() const;
  void stop();

 private:
  class Session;
  void accept();
  void pause_accepting();

  asio::io_context& loop_;
  Hooks hooks_;
  asio::ip::tcp::acceptor acceptor_;
  asio::steady_timer pause_;  // until there may be room for a connection again
  std::string host_;
  std::uint16_t port_ = 0;
  std::string greeting_;
  std::set<std::shared_ptr<Session>> sessions_;
};

}  // namespace rse
