#include "node/http/http_server.h"

#include <fmt/format.h>

#include <asio/buffer.hpp>
#include <asio/error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/write.hpp>
#include <algorithm>
#include <array>
#include <charconv>
#include <deque>
#include <utility>

namespace rse {
namespace {

constexpr std::size_t kReadStepBytes = 4096;
constexpr std::chrono::seconds kRequestLimit{60};

}  // namespace

class HttpServer::Session : public std::enable_shared_from_this<Session> {
 public:
  Session(HttpServer& server, asio::ip::tcp::socket socket) : server_(server), socket_(std::move(socket)), idle_(server.loop_) {}

  void start() {
    std::error_code ignored;
    socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
    read();
  }

  void send(const std::string& bytes) {
    if (closed_) return;
    queued_bytes_ += bytes.size();
    if (queued_bytes_ > kHttpQueueBytesMax) return close();  // it does not read
    queue_.push_back(bytes);
    if (queue_.size() == 1) write();
  }

  void close() {
    if (std::exchange(closed_, true)) return;
    std::error_code ignored;
    socket_.close(ignored);
    idle_.cancel();
    server_.sessions_.erase(shared_from_this());
    server_.pause_.cancel();  // there is room now
  }

  bool listens = false;

 private:
  void read() {
    if (!listens && !std::exchange(awaits_, true)) {  // a whole request in that time, not a byte now and then
      idle_.expires_after(kRequestLimit);
      idle_.async_wait([self = shared_from_this()](const std::error_code& error) {
        if (!error && !self->listens && !self->answering_) self->close();
      });
    }
    socket_.async_read_some(asio::buffer(step_), [self = shared_from_this()](const std::error_code& error, std::size_t size) {
      if (error) return self->close();
      if (self->listens) return self->read();  // a listener has nothing more to say; the end is what is waited for
      self->received_.append(self->step_.data(), size);
      self->take();
    });
  }

  void take() {
    HttpRequest request;
    switch (take_http_request(received_, request)) {
      case HttpParse::kIncomplete: return read();
      case HttpParse::kBad: return finish({400, "text/plain; charset=utf-8", "this is no HTTP request\n"}, false);
      case HttpParse::kTooLarge: return finish({413, "text/plain; charset=utf-8", "the request is too large\n"}, false);
      case HttpParse::kDone: awaits_ = false; break;
    }
    if (!is_allowed_host(request.header("host"), server_.host_, server_.hooks_.allowed_hosts)) {
      return finish({403, "text/plain; charset=utf-8",
                     fmt::format("this page is not served under the name \"{}\": ask for localhost:{}, or start the node with --http-allow-host NAME "
                                 "for the name of a tunnel\n", request.header("host"), server_.port_)},
                    false);
    }
    if (server_.hooks_.is_stream(request)) {
      listens = true;
      idle_.cancel();
      send(http_stream_head() + server_.greeting_);
      return read();
    }
    answering_ = true;
    server_.hooks_.on_request(request, [self = shared_from_this(), keep_alive = request.keep_alive,
                                        body = request.method == "HEAD" ? HttpBody::kLeftOut : HttpBody::kSent](const HttpReply& reply) {
      self->answering_ = false;
      self->finish(reply, keep_alive, body);
    });
  }

  void finish(const HttpReply& reply, bool keep_alive, HttpBody body = HttpBody::kSent) {
    closing_ = !keep_alive;
    send(http_reply_bytes(reply, keep_alive, body));
    if (keep_alive && !closed_) take();
  }

  void write() {
    asio::async_write(socket_, asio::buffer(queue_.front()), [self = shared_from_this()](const std::error_code& error, std::size_t) {
      if (self->closed_) return;
      if (error) return self->close();
      self->queued_bytes_ -= self->queue_.front().size();
      self->queue_.pop_front();
      if (!self->queue_.empty()) return self->write();
      if (self->closing_) self->close();
    });
  }

  HttpServer& server_;
  asio::ip::tcp::socket socket_;
  asio::steady_timer idle_;
  std::array<char, kReadStepBytes> step_{};
  std::string received_;
  std::deque<std::string> queue_;
  std::size_t queued_bytes_ = 0;
  bool answering_ = false;
  bool awaits_ = false;  // a request, since the timer was set
  bool closing_ = false;
  bool closed_ = false;
};

HttpServer::HttpServer(asio::io_context& loop, Hooks hooks) : loop_(loop), hooks_(std::move(hooks)), acceptor_(loop), pause_(loop) {}

HttpServer::~HttpServer() { stop(); }

std::string HttpServer::listen(const std::string& where) {
  const std::size_t colon = where.rfind(':');
  host_ = where.substr(0, colon);
  std::string bare = host_;
  if (bare.size() > 2 && bare.front() == '[' && bare.back() == ']') bare = bare.substr(1, bare.size() - 2);
  std::error_code error;
  const asio::ip::address address = asio::ip::make_address(bare == "localhost" ? "127.0.0.1" : bare, error);
  unsigned port = 0;
  const std::string digits = colon == std::string::npos ? "" : where.substr(colon + 1);
  const auto [rest, wrong] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error || digits.empty() || wrong != std::errc{} || rest != digits.data() + digits.size() || port > 65535)
    return fmt::format("cannot serve HTTP on \"{}\": write ADDRESS:PORT, for example 127.0.0.1:7480", where);
  if (!address.is_loopback())
    return fmt::format("cannot serve HTTP on {}: whoever reaches it sees everything; use a loopback address and a tunnel", where);
  const asio::ip::tcp::endpoint endpoint(address, static_cast<std::uint16_t>(port));
  acceptor_.open(endpoint.protocol(), error);
  if (!error) acceptor_.set_option(asio::socket_base::reuse_address(true), error);
  if (!error) acceptor_.bind(endpoint, error);
  if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
  if (error) return fmt::format("cannot serve HTTP on {}: {}; use another port", where, error.message());
  port_ = acceptor_.local_endpoint().port();
  accept();
  return {};
}

void HttpServer::accept() {
  acceptor_.async_accept([this](const std::error_code& error, asio::ip::tcp::socket socket) {
    if (!acceptor_.is_open()) return;
    if (error == asio::error::no_descriptors || error == asio::error::no_memory || error == asio::error::no_buffer_space ||
        error == std::errc::too_many_files_open_in_system)
      return pause_accepting();
    if (!error && sessions_.size() < kHttpClientsMax) {
      const auto session = std::make_shared<Session>(*this, std::move(socket));
      sessions_.insert(session);
      session->start();
    }
    accept();
  });
}

/// Who waits would be offered again at once, and refused again: the loop would do nothing else. Goes on when a session has ended, and
/// now and then, for others of this process use the same descriptors.
void HttpServer::pause_accepting() {
  pause_.expires_after(hooks_.accept_pause);
  pause_.async_wait([this](const std::error_code&) {
    if (acceptor_.is_open()) accept();
  });
}

void HttpServer::broadcast(const std::string& event_bytes) {
  const auto sessions = sessions_;  // a slow one is closed on the way
  for (const auto& session : sessions)
    if (session->listens) session->send(event_bytes);
}

std::size_t HttpServer::listener_count() const {
  return static_cast<std::size_t>(std::count_if(sessions_.begin(), sessions_.end(), [](const auto& session) { return session->listens; }));
}

void HttpServer::stop() {
  std::error_code ignored;
  acceptor_.close(ignored);
  pause_.cancel();
  const auto sessions = std::exchange(sessions_, {});
  for (const auto& session : sessions) session->close();
}

}  // namespace rse
