#include "node/http/http_server.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <asio/ip/tcp.hpp>
#include <asio/write.hpp>
#include <functional>
#include <stdexcept>

#include "torus/base/random.h"

using namespace rse;
using namespace std::chrono_literals;
using asio::ip::tcp;

namespace {

constexpr std::chrono::seconds kPatience{30};
constexpr std::chrono::milliseconds kLook{100};

/// `more`: further lines of the head, each with its end.
std::string get(const std::string& target, const std::string& more = {}) {
  return fmt::format("GET {} HTTP/1.1\r\nHost: localhost\r\n{}\r\n", target, more);
}

/// One connection; what comes is read as the loop runs, if `reads`.
struct Client {
  enum class Reads { kAll, kNothing };
  Client(asio::io_context& loop, std::uint16_t port, Reads reads = Reads::kAll) : socket(loop, tcp::v4()) {
    if (reads == Reads::kNothing) socket.set_option(tcp::socket::receive_buffer_size(4096));
    socket.connect({asio::ip::make_address("127.0.0.1"), port});
    if (reads == Reads::kAll) read();
  }
  void send(const std::string& bytes) {
    std::error_code ignored;  // the server may have closed
    asio::write(socket, asio::buffer(bytes), ignored);
  }
  void read() {
    socket.async_read_some(asio::buffer(step), [this](const std::error_code& error, std::size_t size) {
      got.append(step.data(), size);
      if (!error) return read();
      closed = true;
    });
  }
  /// How often they are in what came last.
  std::size_t count(const std::string& words) const {
    constexpr std::size_t kLast = 65536;
    std::size_t found = 0;
    std::size_t at = got.find(words, std::max(got.size(), kLast) - kLast);
    for (; at != std::string::npos; at = got.find(words, at + 1)) ++found;
    return found;
  }
  bool holds(const std::string& words) const { return got.find(words) != std::string::npos; }

  tcp::socket socket;
  std::array<char, 65536> step;
  std::string got;
  bool closed = false;
};

/// A server of "hello", of a stream at /stream, and of a large page at /large.
struct World {
  explicit World(std::chrono::milliseconds client_limit = 60s) : client_limit(client_limit) {
    failure = server.listen("127.0.0.1:0");
    port = server.port();
  }
  ~World() {
    server.stop();
    for (const auto& client : clients) client->socket.close();
    CHECK(until([&] { return loop.stopped(); }));  // nothing is left to do
  }
  bool until(const std::function<bool()>& done) {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    bool is_done = false;
    while (!(is_done = done()) && std::chrono::steady_clock::now() < end) {
      if (loop.stopped()) loop.restart();
      loop.run_one_for(10ms);
    }
    return is_done;
  }
  Client& connect(Client::Reads reads = Client::Reads::kAll) {
    return *clients.emplace_back(std::make_unique<Client>(loop, port, reads));
  }
  /// All that comes until the server closes.
  std::string ask(const std::string& bytes) {
    Client& client = connect();
    client.send(bytes);
    CHECK(until([&] { return client.closed; }));
    return client.got;
  }
  bool serves() {
    Client& client = connect();
    client.send(get("/hello"));
    return until([&] { return client.closed || client.holds("hello"); }) && client.holds("hello");
  }

  std::chrono::milliseconds client_limit;
  asio::io_context loop;
  std::vector<HttpServer::Answer> waiting;  // of requests for /later
  std::vector<HttpRequest> requests;
  std::string large = std::string(8u << 20, 'x');
  HttpServer server{loop,
                    {.on_request =
                         [this](const HttpRequest& request, HttpServer::Answer answer) {
                           requests.push_back(request);
                           if (request.path == "/throw") throw std::runtime_error("a handler's");
                           if (request.path == "/later") return waiting.push_back(std::move(answer));
                           answer({200, "text/plain", request.path == "/large" ? large : "hello"});
                         },
                     .is_stream = [](const HttpRequest& request) { return request.path == "/stream"; },
                     .allowed_hosts = {},
                     .accept_look = kLook,
                     .client_limit = client_limit}};
  std::string failure;
  std::uint16_t port = 0;
  std::vector<std::unique_ptr<Client>> clients;
};

/// Takes all descriptors that this process may still have, and gives them back.
class AllDescriptors {
 public:
  AllDescriptors() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit few{kDescriptors, before_.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &few);
    for (int fd = ::open("/dev/null", O_RDONLY); fd >= 0; fd = ::open("/dev/null", O_RDONLY)) taken_.push_back(fd);
  }
  ~AllDescriptors() {
    for (const int fd : taken_) ::close(fd);
    ::setrlimit(RLIMIT_NOFILE, &before_);
  }
  AllDescriptors(const AllDescriptors&) = delete;
  AllDescriptors& operator=(const AllDescriptors&) = delete;

 private:
  static constexpr rlim_t kDescriptors = 64;
  rlimit before_{};
  std::vector<int> taken_;
};

}  // namespace

TEST_CASE("http server: an address that is none, is for everybody or is taken is refused in a sentence") {
  World world;
  REQUIRE(world.failure == "");
  REQUIRE(world.port != 0);
  const auto listen = [&](const std::string& where) { return HttpServer(world.loop, {}).listen(where); };
  for (const char* where : {"", "7480", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:7x", "nowhere:7480"})
    CHECK(listen(where) ==
          fmt::format("cannot serve HTTP on \"{}\": write ADDRESS:PORT, for example 127.0.0.1:7480", where));
  CHECK(listen("0.0.0.0:7480").find("whoever reaches it sees everything") != std::string::npos);
  CHECK(listen(fmt::format("localhost:{}", world.port)) ==
        fmt::format("cannot serve HTTP on localhost:{}: Address already in use; use another port", world.port));
}

TEST_CASE("http server: a request comes whole to the handler, in whatever pieces it was sent, and its answer back") {
  World world;
  Client& client = world.connect();
  const std::string request =
      "POST /api/v1/inject?torus=2&name=a%20b+c&q=/:@ HTTP/1.1\r\nHost: localhost:7480\r\nX-Some:  thing \r\n"
      "Content-Length: 5\r\n\r\nbytes";
  for (const char byte : request) {
    CHECK(world.requests.empty());
    client.send(std::string(1, byte));
    world.loop.poll();
  }
  REQUIRE(world.until([&] { return client.holds("hello"); }));
  REQUIRE(world.requests.size() == 1);
  const HttpRequest& got = world.requests.front();
  CHECK(got.method == "POST");
  CHECK(got.path == "/api/v1/inject");
  CHECK(got.argument("torus") == "2");
  CHECK(got.argument("name") == "a b c");
  CHECK(got.argument("q") == "/:@");
  CHECK(got.argument("none") == "");
  CHECK(got.header("host") == "localhost:7480");
  CHECK(got.header("x-some") == "thing");
  CHECK(got.body == "bytes");
  CHECK(client.got.starts_with("HTTP/1.1 200 OK\r\n"));
  for (const auto& [name, value] : kHttpReplyHeaders) CHECK(client.holds(fmt::format("\r\n{}: {}\r\n", name, value)));
  CHECK(client.holds("\r\nContent-Type: text/plain\r\n"));
  CHECK(client.holds("\r\nContent-Length: 5\r\n"));
  CHECK(!client.closed);
}

TEST_CASE("http server: requests of one connection are answered in turn, however many come at once") {
  World world;
  Client& client = world.connect();
  std::string requests;
  for (int i = 0; i < 8; ++i) requests += get(fmt::format("/{}", i));
  SUBCASE("small answers, the last request in two pieces") {
    client.send(requests.substr(0, requests.size() - 20));
    REQUIRE(world.until([&] { return client.count("hello") == 7; }));
    client.send(requests.substr(requests.size() - 20));
  }
  SUBCASE("while a large answer is still on its way") {
    client.send(get("/large") + "GET /half HT");
    REQUIRE(world.until([&] { return client.got.size() > world.large.size() / 4; }));
    client.send("TP/1.1\r\nHost: localhost\r\n\r\n" + requests.substr(requests.find("GET /1")));
  }
  CHECK(world.until([&] { return client.closed || client.count("hello") == 8; }));
  CHECK(!client.closed);
}

TEST_CASE("http server: HEAD has the head of the answer only, and who says close is closed with the answer") {
  World world;
  const std::string head = world.ask("HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  CHECK(head.find("\r\nContent-Length: 5\r\n") != std::string::npos);
  CHECK(head.ends_with("\r\n\r\n"));
  CHECK(world.ask("GET / HTTP/1.0\r\nHost: localhost\r\n\r\n").ends_with("\r\n\r\nhello"));
  CHECK(world.ask(get("/", "Connection: Upgrade\r\nUpgrade: h2c\r\n")).ends_with("\r\n\r\nhello"));
}

TEST_CASE("http server: who asks for another host, or means two, gets a sentence") {
  World world;
  const std::string refused = world.ask("GET / HTTP/1.1\r\nHost: evil.example:7480\r\n\r\n");
  CHECK(refused.starts_with("HTTP/1.1 403 Forbidden\r\n"));
  const std::string words =
      fmt::format("is not served under the name \"evil.example:7480\": ask for localhost:{},", world.port);
  CHECK(refused.find(words) != std::string::npos);
  CHECK(world.ask("GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 403"));
  CHECK(world.ask(get("/", "host: localhost\r\n")).starts_with("HTTP/1.1 400"));
  CHECK(world.ask(get("http://localhost/")).starts_with("HTTP/1.1 400"));
  CHECK(world.ask(get("/?a=%xy", "Connection: close\r\n")).starts_with("HTTP/1.1 400"));
  CHECK(world.requests.empty());
}

TEST_CASE("http server: a body that is too large gets a sentence, and a request beyond all bounds the end") {
  World world;
  const auto post = [&](std::size_t size) {
    constexpr const char* kHead =
        "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n";
    return world.ask(fmt::format(kHead, size) + std::string(size, 'b'));
  };
  CHECK(post(kHttpBodyBytesMax).starts_with("HTTP/1.1 200"));
  CHECK(post(kHttpBodyBytesMax + 1).starts_with("HTTP/1.1 413"));
  CHECK(post(1u << 20) == "");
  CHECK(world.ask("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n") == "");
  CHECK(world.ask(get("/" + std::string(kHttpHeadBytesMax, 'u'))) == "");
  CHECK(world.ask(get("/", "X: " + std::string(kHttpHeadBytesMax, 'h') + "\r\n")) == "");
  std::string many;
  for (int i = 0; i < 64; ++i) many += fmt::format("X{}: y\r\n", i);
  CHECK(world.ask(get("/", many)) == "");
  CHECK(world.requests.size() == 1);
  CHECK(world.serves());
}

TEST_CASE("http server: bytes that are no request end their connection, and nothing else") {
  World world;
  const std::vector<std::string> all = {std::string("\0\1\2\3\r\n\r\n", 8),
                                        "hello\r\n\r\n",
                                        "GET / HTTP/x\r\n\r\n",
                                        "GET / HTTP/1.1\r\nno header\r\n\r\n",
                                        "BREW / HTTP/1.1\r\nHost: localhost\r\n\r\n",
                                        "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
                                        "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"};
  for (const std::string& bytes : all) {
    CAPTURE(bytes);
    CHECK(world.ask(bytes) == "");
    CHECK(world.serves());
  }
}

TEST_CASE("http server: damaged requests, in any pieces, leave the server as it was") {
  const std::vector<std::string> whole = {
      get("/hello"),
      "POST /api/v1/inject?torus=2 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello",
      "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: t\r\n\r\n",
      get("/stream", "Connection: Upgrade\r\nUpgrade: websocket\r\n"),
      "CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
      "HEAD /?a=b&c=%20#d HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\nExpect: 100-continue\r\n\r\n"};
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    World world;
    Random random(seed);
    const auto below = [&](std::size_t bound) { return random.below(static_cast<std::uint32_t>(bound)); };
    for (int i = 0; i < 10; ++i) {
      std::string bytes = whole[below(whole.size())] + whole[below(whole.size())];
      for (std::uint32_t damage = below(4); damage > 0; --damage) {
        const std::size_t at = below(bytes.size());
        switch (below(4)) {
          case 0: bytes[at] = static_cast<char>(random.next()); break;
          case 1: bytes.erase(at, 1 + below(8)); break;
          case 2: bytes.insert(at, bytes.substr(below(bytes.size()), 1 + below(300))); break;
          case 3: bytes.insert(at, 1 + below(3), "\r\n: \0"[below(5)]); break;
        }
      }
      Client& client = world.connect();
      while (!bytes.empty()) {
        const std::size_t size = 1 + below(bytes.size());
        client.send(bytes.substr(0, size));
        bytes.erase(0, size);
        world.loop.poll();
      }
      std::error_code ignored;
      if (below(2) == 0) client.socket.shutdown(tcp::socket::shutdown_send, ignored);
      if (below(4) == 0) client.socket.close(ignored);
    }
    REQUIRE(world.serves());
  }
}

TEST_CASE("http server: a request that does not come whole, and an answer that is not read, end within the limit") {
  World world(1s);
  Client& half = world.connect();
  half.send("GET / HT");
  Client& silent = world.connect();
  Client& greedy = world.connect(Client::Reads::kNothing);
  greedy.send(get("/large"));
  Client& active = world.connect();
  const auto begin = std::chrono::steady_clock::now();
  active.send(get("/hello"));
  const auto keep_asking = [&] {
    if (!active.got.ends_with("hello")) return;
    active.got.clear();
    active.send(get("/hello"));
  };
  REQUIRE(world.until([&] { return keep_asking(), half.closed && silent.closed; }));
  CHECK(std::chrono::steady_clock::now() - begin >= 1s);
  CHECK(half.got + silent.got == "");
  CHECK(world.until([&] { return keep_asking(), std::chrono::steady_clock::now() - begin > 2500ms; }));
  CHECK(!active.closed);
  greedy.read();
  CHECK(world.until([&] { return greedy.closed; }));
  CHECK(greedy.got.size() < world.large.size());
}

TEST_CASE("http server: an answer may come later, and when nobody waits for it any more") {
  World world;
  Client& client = world.connect();
  client.send(get("/later"));
  Client& gone = world.connect();
  gone.send(get("/later"));
  REQUIRE(world.until([&] { return world.waiting.size() == 2; }));
  gone.socket.set_option(tcp::socket::linger(true, 0));
  gone.socket.close();
  for (const HttpServer::Answer& answer : std::exchange(world.waiting, {})) answer({200, "text/plain", "late"});
  CHECK(world.until([&] { return client.holds("late"); }));
  CHECK(world.serves());
}

TEST_CASE("http server: an exception of a handler ends its connection, and nothing else") {
  World world;
  CHECK(world.ask(get("/throw")) == "");
  CHECK(world.serves());
}

TEST_CASE("http server: listeners get the greeting and every event, and count until they go") {
  World world(600ms);
  world.server.set_greeting(http_event_bytes("state", "first"));
  const auto listen = [&]() -> Client& {
    Client& client = world.connect();
    client.send(get("/stream"));
    REQUIRE(world.until([&] { return client.holds("event: state\ndata: first\n\n"); }));
    return client;
  };
  Client& one = listen();
  Client& two = listen();
  CHECK(one.holds("\r\nContent-Type: text/event-stream\r\n"));
  CHECK(one.holds("retry: 1000\n\n"));
  CHECK(world.server.listener_count() == 2);
  for (const char* number : {"1", "2", "3"}) world.server.broadcast(http_event_bytes("state", number));
  for (Client* client : {&one, &two})
    for (const char* number : {"1", "2", "3"})
      CHECK(world.until([&] { return client->count(http_event_bytes("state", number)) == 1; }));
  const auto begin = std::chrono::steady_clock::now();  // longer than a request may take
  CHECK(world.until([&] { return std::chrono::steady_clock::now() - begin > 1s; }));
  CHECK(world.server.listener_count() == 2);
  SUBCASE("by leaving") {
    one.socket.close();
    CHECK(world.until([&] {
      world.server.broadcast(http_event_bytes("state", "x"));
      return world.server.listener_count() == 1;
    }));
    CHECK(world.until([&] { return two.holds("data: x"); }));
  }
  SUBCASE("by the server's end") {
    world.server.stop();
    CHECK(world.server.listener_count() == 0);
    CHECK(world.until([&] { return one.closed && two.closed; }));
  }
}

TEST_CASE("http server: a listener that does not read costs no more than its queue, is dropped and is closed") {
  World world(2s);
  Client& lazy = world.connect(Client::Reads::kNothing);
  Client& other = world.connect();
  for (Client* client : {&lazy, &other}) client->send(get("/stream"));
  REQUIRE(world.until([&] { return world.server.listener_count() == 2; }));
  const std::string event = http_event_bytes("state", std::string(1u << 18, 'x'));
  std::size_t sent = 0;
  REQUIRE(world.until([&] {
    if (other.got.size() > sent * event.size()) world.server.broadcast(event), ++sent;  // it has all, and the head
    return world.server.listener_count() == 1;
  }));
  // What a kernel holds of a connection of this machine, beside the queue.
  CHECK(sent * event.size() < kHttpQueueBytesMax + (8u << 20));
  const auto begin = std::chrono::steady_clock::now();
  CHECK(world.until([&] { return std::chrono::steady_clock::now() - begin > 3s; }));
  lazy.read();
  CHECK(world.until([&] { return lazy.closed; }));
  CHECK(lazy.got.size() < sent * event.size());
  CHECK(!other.closed);
}

TEST_CASE("http server: after its end it takes nobody, and who says nothing is closed within the limit") {
  World world(600ms);
  REQUIRE(world.serves());
  Client& busy = world.connect();
  busy.send(get("/later"));
  REQUIRE(world.until([&] { return world.waiting.size() == 1; }));
  world.server.stop();
  tcp::socket late(world.loop, tcp::v4());
  std::error_code refused;
  late.connect({asio::ip::make_address("127.0.0.1"), world.port}, refused);
  CHECK(refused);
  std::exchange(world.waiting, {}).front()({200, "text/plain", "late"});
  CHECK(world.until([&] { return world.clients[0]->closed && busy.closed; }));
  CHECK(busy.holds("late"));
  CHECK(world.until([&] { return world.loop.stopped(); }));
}

TEST_CASE("http server: no more than so many are let in, and one that leaves makes room") {
  World world;
  for (std::size_t i = 0; i < kHttpClientsMax; ++i) {
    world.connect();
    world.loop.poll();
  }
  Client& last = *world.clients.back();
  last.send(get("/hello"));
  REQUIRE(world.until([&] { return last.holds("hello"); }));
  Client& too_many = world.connect();
  REQUIRE(world.until([&] { return too_many.closed; }));
  CHECK(!last.closed);
  world.clients.front()->socket.close();
  CHECK(world.until([&] { return world.serves(); }));  // once the server has noticed
}

TEST_CASE("http server: clients that break off before they are let in take nobody's place") {
  World world;
  for (std::size_t i = 0; i < 2 * kHttpClientsMax; ++i) {
    tcp::socket client(world.loop, tcp::v4());
    client.connect({asio::ip::make_address("127.0.0.1"), world.port});
    client.set_option(tcp::socket::linger(true, 0));
    client.close();  // a reset, which the server finds at accept()
    if (i % 64 == 0) world.loop.poll();
  }
  CHECK(world.serves());
}

TEST_CASE("http server: without a file descriptor it rests, and serves those who waited once there are some again") {
  constexpr std::size_t kHandlersMax = 20;  // of a loop that rests; one that spins runs tens of thousands
  World world;
  REQUIRE(world.serves());
  for (int time = 0; time < 3; ++time) {
    Client& waits = world.connect();  // by the kernel; the server has not seen it
    waits.send(get("/hello"));
    {
      const AllDescriptors taken;
      CHECK(world.loop.run_for(5 * kLook) < kHandlersMax);
      CHECK(waits.got == "");
    }
    CHECK(world.until([&] { return waits.holds("hello"); }));
    CHECK(world.serves());
  }
}

TEST_CASE("http server: without a file descriptor, a connection that ends makes room for who waits") {
  World world;
  Client& first = world.connect();
  first.send(get("/hello"));
  REQUIRE(world.until([&] { return first.holds("hello"); }));
  Client& waits = world.connect();
  waits.send(get("/hello"));
  const AllDescriptors taken;
  world.loop.run_for(3 * kLook);
  CHECK(waits.got == "");
  first.socket.shutdown(tcp::socket::shutdown_both);  // keeps its own descriptor: what is free now is the server's
  CHECK(world.until([&] { return waits.holds("hello"); }));
}
