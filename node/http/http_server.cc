#include "node/http/restinio.h"  // before all that includes Asio
#include "node/http/http_server.h"

#include <fmt/format.h>
#include <http_parser.h>
#include <poll.h>

#include <algorithm>
#include <asio/ip/tcp.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <charconv>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <utility>

using asio::ip::tcp;

namespace rse {
namespace {

/// What comes with a larger body is closed without a word; one between gets a sentence.
constexpr std::size_t kBodyTakenBytesMax = 4 * kHttpBodyBytesMax;
constexpr std::size_t kHeadersMax = 64;
constexpr int kLooksInLimit = 12;  // RESTinio's, whether the time of a connection is over
/// RESTinio's limit for our part of the work also runs while there is nothing to tell a listener.
constexpr std::chrono::hours kOurLimit{24 * 365};

HttpReply words(int status, std::string text) { return {status, "text/plain; charset=utf-8", std::move(text)}; }

/// Otherwise it is none that can be meant well.
std::optional<HttpRequest> read_request(const restinio::request_t& from) {
  HttpRequest request;
  request.method = from.header().method().c_str();
  request.path = std::string(from.header().path());
  if (!request.path.starts_with('/')) return std::nullopt;  // asks for another machine, as of a proxy
  const auto query = restinio::try_parse_query<restinio::parse_query_traits::relaxed>(from.header().query());
  if (!query) return std::nullopt;
  for (const auto& [name, value] : *query) request.query.emplace(name, value);
  bool twice = false;
  from.header().for_each_field([&](const auto& field) {
    const std::string name = http_lower(field.name());
    const std::string& value = field.value();
    const bool is_new = request.headers.emplace(name, value.substr(0, value.find_last_not_of(" \t") + 1)).second;
    if (!is_new && name == "host") twice = true;  // could mean two things to two readers
  });
  if (twice) return std::nullopt;
  request.body = from.body();
  return request;
}

template <class Response>
void add_headers(Response& response, std::string content_type) {
  response.append_header("Content-Type", std::move(content_type));
  for (const auto& [name, value] : kHttpReplyHeaders) response.append_header(name, value);
}

}  // namespace

/// Those who came in. RESTinio's connections share it, so it may outlive the server.
class HttpServer::Clients : public std::enable_shared_from_this<Clients> {
 public:
  Clients(asio::io_context& loop, Hooks hooks) : loop(loop), hooks(std::move(hooks)) {}

  /// By RESTinio, once one has come in and once or more after it has gone.
  void state_changed(const restinio::connection_state::notice_t& notice) noexcept {
    if (restinio::holds_alternative<restinio::connection_state::accepted_t>(notice.cause())) {
      connected_.insert(notice.connection_id());
    } else {
      connected_.erase(notice.connection_id());
      listeners_.erase(notice.connection_id());
    }
  }

  /// By RESTinio, for each that comes in; an exception closes it.
  void admit(restinio::socket_options_t& socket) {
    ++admitted;
    if (connected_.size() >= kHttpClientsMax) throw std::length_error("too many clients");
    socket.set_option(tcp::no_delay(true));
  }

  restinio::request_handling_status_t take(const restinio::request_handle_t& from) {
    if (stopped_) return restinio::request_rejected();
    const std::optional<HttpRequest> request = read_request(*from);
    if (!request) return reply(from, words(400, "this is no request for this server\n"), Then::kClose);
    if (!is_allowed_host(request->header("host"), host, hooks.allowed_hosts))
      return reply(from, wrong_host(request->header("host")), Then::kClose);
    if (request->body.size() > kHttpBodyBytesMax)
      return reply(from, words(413, "the request is too large\n"), Then::kClose);
    // Who asks for another protocol gets this one. RESTinio sets such a connection no limits of time: it must not stay.
    const bool keep_alive = from->header().connection() == restinio::http_connection_header_t::keep_alive;
    const bool upgrade = from->header().connection() == restinio::http_connection_header_t::upgrade;
    if (!upgrade && hooks.is_stream(*request)) return begin_stream(from);
    hooks.on_request(*request, [self = shared_from_this(), from, keep_alive](HttpReply answer) {
      self->reply(from, std::move(answer), keep_alive ? Then::kStay : Then::kClose);
    });
    return restinio::request_accepted();
  }

  void broadcast(const std::string& event_bytes) {
    const auto bytes = std::make_shared<std::string>(event_bytes);
    const auto listeners = listeners_;  // one may go on the way
    for (const auto& [id, listener] : listeners) {
      if (*listener->queued + bytes->size() <= kHttpQueueBytesMax) {
        listener->send(bytes);
      } else {  // it does not read, and is closed when client_limit is over
        listeners_.erase(id);
        listener->response.done();
      }
    }
  }

  void stop() {
    stopped_ = true;
    for (const auto& [id, listener] : std::exchange(listeners_, {})) listener->response.done();
  }

  std::size_t listener_count() const { return listeners_.size(); }

  asio::io_context& loop;
  const Hooks hooks;
  std::string host;
  std::uint16_t port = 0;
  std::string greeting;
  std::uint64_t admitted = 0;

 private:
  enum class Then { kStay, kClose };

  HttpReply wrong_host(std::string_view asked) const {
    return words(403, fmt::format("this page is not served under the name \"{}\": ask for localhost:{}, or start the "
                                  "node with --http-allow-host NAME for the name of a tunnel\n", asked, port));
  }

  struct Listener {
    restinio::response_builder_t<restinio::chunked_output_t> response;
    std::shared_ptr<std::size_t> queued = std::make_shared<std::size_t>(0);  // bytes

    void send(const std::shared_ptr<std::string>& bytes) {
      *queued += bytes->size();
      response.append_chunk(bytes);
      response.flush([queued = queued, size = bytes->size()](const std::error_code&) { *queued -= size; });
    }
  };

  restinio::request_handling_status_t begin_stream(const restinio::request_handle_t& from) {
    const auto listener = std::make_shared<Listener>(Listener{from->create_response<restinio::chunked_output_t>()});
    add_headers(listener->response, "text/event-stream");
    listener->response.connection_close();
    listeners_.emplace(from->connection_id(), listener);
    listener->send(std::make_shared<std::string>("retry: 1000\n\n" + greeting));
    return restinio::request_accepted();
  }

  /// Not before RESTinio has done with the request: after an answer inside its handler, version 0.6.16 begins to read
  /// the next request at once and again when the answer is out, and then forgets what has come of it.
  restinio::request_handling_status_t reply(const restinio::request_handle_t& from, HttpReply reply, Then then) {
    asio::post(loop, [from, reply = std::move(reply), then]() mutable {
      auto response = from->create_response<restinio::user_controlled_output_t>(
          {restinio::http_status_code_t(static_cast<std::uint16_t>(reply.status)), http_reason(reply.status)});
      add_headers(response, std::move(reply.content_type));
      response.set_content_length(reply.body.size());
      if (then == Then::kClose) response.connection_close();
      if (from->header().method() != restinio::http_method_head()) response.set_body(std::move(reply.body));
      response.done();
    });
    return restinio::request_accepted();
  }

  std::set<restinio::connection_id_t> connected_;
  std::map<restinio::connection_id_t, std::shared_ptr<Listener>> listeners_;
  bool stopped_ = false;
};

/// Where they come in. The listening socket is ours and RESTinio has it on loan, for when accept() fails, as without
/// file descriptors, its version 0.6.16 never calls it again. Then it begins anew with the same socket, and who waits
/// there is served. Its own limit of connections is not used: each that a client breaks off before accept() takes a
/// place for ever. Nor its filter of addresses: a client that breaks off at the wrong moment would end the program.
class HttpServer::Door : public std::enable_shared_from_this<Door> {
 public:
  explicit Door(std::shared_ptr<Clients> clients)
      : clients_(std::move(clients)), listening_(clients_->loop), pause_(clients_->loop) {}

  void open(const tcp::endpoint& where) {
    listening_.open(where.protocol());
    listening_.set_option(tcp::acceptor::reuse_address(true));
    listening_.bind(where);
    listening_.listen();
    clients_->port = listening_.local_endpoint().port();
    server_.emplace(restinio::external_io_context(clients_->loop), settings(where));
    server_->open_sync();
    look_later();
  }

  void close() {
    std::error_code ignored;
    pause_.cancel();
    if (server_) take_back();
    listening_.close(ignored);
  }

 private:
  struct Traits : restinio::default_single_thread_traits_t {
    using connection_state_listener_t = Clients;
  };

  restinio::server_settings_t<Traits> settings(const tcp::endpoint& where) {
    const Hooks& hooks = clients_->hooks;
    http_parser_set_max_header_size(kHttpHeadBytesMax);
    restinio::server_settings_t<Traits> settings(0, where.protocol());  // a socket that lives until lend()
    settings.address(where.address())
        .acceptor_post_bind_hook([this](tcp::acceptor& acceptor) { lend(acceptor); })
        .socket_options_setter([clients = clients_](auto& socket) { clients->admit(socket); })
        .connection_state_listener(clients_)
        .request_handler([clients = clients_](const auto& request) { return clients->take(request); })
        .incoming_http_msg_limits(
            restinio::incoming_http_msg_limits_t().max_field_count(kHeadersMax).max_body_size(kBodyTakenBytesMax))
        .timer_manager(hooks.client_limit / kLooksInLimit)
        .read_next_http_message_timelimit(hooks.client_limit)
        .write_http_response_timelimit(hooks.client_limit)
        .handle_request_timeout(kOurLimit);
    return settings;
  }

  void lend(tcp::acceptor& acceptor) {
    acceptor = std::move(listening_);
    borrower_ = &acceptor;
  }

  void take_back() {
    if (tcp::acceptor* const acceptor = std::exchange(borrower_, nullptr)) listening_ = std::move(*acceptor);
    server_->close_sync();
  }

  void look_later() {
    pause_.expires_after(clients_->hooks.accept_look);
    pause_.async_wait([weak = weak_from_this()](const std::error_code& error) {
      if (const auto self = weak.lock(); self && !error) self->look();
    });
  }

  void look() {
    pollfd door{(borrower_ ? *borrower_ : listening_).native_handle(), POLLIN, 0};
    const bool waits = ::poll(&door, 1, 0) > 0;
    if (waits && waited_ && clients_->admitted == admitted_before_) begin_anew();
    waited_ = waits;
    admitted_before_ = clients_->admitted;
    look_later();
  }

  void begin_anew() {
    take_back();
    try {
      server_->open_sync();
    } catch (const std::exception&) {  // still no descriptor; the next look tries again
    }
  }

  const std::shared_ptr<Clients> clients_;
  tcp::acceptor listening_;
  tcp::acceptor* borrower_ = nullptr;
  std::optional<restinio::http_server_t<Traits>> server_;
  asio::steady_timer pause_;
  bool waited_ = false;
  std::uint64_t admitted_before_ = 0;
};

HttpServer::HttpServer(asio::io_context& loop, Hooks hooks)
    : clients_(std::make_shared<Clients>(loop, std::move(hooks))), door_(std::make_shared<Door>(clients_)) {}

HttpServer::~HttpServer() { stop(); }

std::string HttpServer::listen(const std::string& where) {
  const std::size_t colon = where.rfind(':');
  std::string host = where.substr(0, colon);
  clients_->host = host;
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  std::error_code error;
  const asio::ip::address address = asio::ip::make_address(host == "localhost" ? "127.0.0.1" : host, error);
  unsigned port = 0;
  const std::string digits = colon == std::string::npos ? "" : where.substr(colon + 1);
  const auto [rest, wrong] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error || digits.empty() || wrong != std::errc{} || rest != digits.data() + digits.size() || port > 65535)
    return fmt::format("cannot serve HTTP on \"{}\": write ADDRESS:PORT, for example 127.0.0.1:7480", where);
  if (!address.is_loopback())
    return fmt::format("cannot serve HTTP on {}: whoever reaches it sees everything; use a loopback address and "
                       "a tunnel", where);
  try {
    door_->open({address, static_cast<std::uint16_t>(port)});
  } catch (const std::system_error& failure) {
    return fmt::format("cannot serve HTTP on {}: {}; use another port", where, failure.code().message());
  }
  return {};
}

std::uint16_t HttpServer::port() const { return clients_->port; }
void HttpServer::broadcast(const std::string& event_bytes) { clients_->broadcast(event_bytes); }
void HttpServer::set_greeting(std::string event_bytes) { clients_->greeting = std::move(event_bytes); }
std::size_t HttpServer::listener_count() const { return clients_->listener_count(); }

void HttpServer::stop() {
  door_->close();
  clients_->stop();
}

}  // namespace rse
