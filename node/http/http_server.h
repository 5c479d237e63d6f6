// Serves HTTP on one loopback address: requests to a handler, a stream of events to every browser that asked for it.
// RESTinio does it, out of sight: its headers cost seconds and half a gigabyte, so only http_server.cc has them.
// Threads: the loop's. Memory: kHttpClientsMax clients, each with one request and one reply, or kHttpQueueBytesMax of
// events; who does not read is closed. Errors: a sentence from listen(); what is no request gets no answer but the end.
#pragma once

#include <asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
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
    /// Calls `answer` once, now or later, on the loop's thread; also when the client has gone meanwhile.
    std::function<void(const HttpRequest&, Answer answer)> on_request;
    /// Whether this request asks for the stream of events.
    std::function<bool(const HttpRequest&)> is_stream;
    /// By which a browser may ask for this server, beside those of this machine.
    std::vector<std::string> allowed_hosts;
    /// Between two looks whether connections wait and none is taken, as after a time without file descriptors; the
    /// second such look in a row mends it.
    std::chrono::milliseconds accept_look{1000};
    /// For a request to come whole, and for a reply to be read.
    std::chrono::milliseconds client_limit{60'000};
  };
  HttpServer(asio::io_context& loop, Hooks hooks);
  ~HttpServer();

  /// `where`: HOST:PORT; port 0 is any that is free. Empty: listening; otherwise what went wrong, for a person.
  std::string listen(const std::string& where);
  std::uint16_t port() const;
  /// To all that listen to the stream. One that has gone is noticed when it is sent something.
  void broadcast(const std::string& event_bytes);
  /// What a new listener gets first.
  void set_greeting(std::string event_bytes);
  std::size_t listener_count() const;
  /// Takes nobody any more, and ends the streams. Connections that say nothing end within `client_limit`, or with the
  /// loop.
  void stop();

 private:
  class Clients;
  class Door;

  std::shared_ptr<Clients> clients_;
  std::shared_ptr<Door> door_;
};

}  // namespace rse
