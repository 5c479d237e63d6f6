#include "node/http/http_server.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <asio/write.hpp>

using namespace rse;
using asio::ip::tcp;

namespace {

constexpr rlim_t kDescriptors = 64;
constexpr std::chrono::milliseconds kLook{300};
constexpr std::size_t kHandlersMax = 20;  // of a loop that rests; one that spins runs tens of thousands
constexpr std::chrono::seconds kPatience{10};

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
  rlimit before_{};
  std::vector<int> taken_;
};

HttpServer::Hooks hooks(std::chrono::milliseconds accept_pause = std::chrono::milliseconds(100)) {
  return {[](const HttpRequest&, const HttpServer::Answer& answer) { answer({200, "text/plain", "hello"}); },
          [](const HttpRequest&) { return false; },
          {},
          accept_pause};
}

/// Sends a request and waits for the beginning of its answer, with the loop at work.
std::string ask(asio::io_context& loop, tcp::socket& client) {
  const std::string request = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
  std::error_code ignored;
  asio::write(client, asio::buffer(request), ignored);
  std::string answer;
  std::array<char, 4096> bytes{};
  client.async_read_some(asio::buffer(bytes), [&](const std::error_code&, std::size_t size) { answer.assign(bytes.data(), size); });
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (answer.empty() && std::chrono::steady_clock::now() < end) loop.run_one_for(kLook);
  return answer;
}

}  // namespace

TEST_CASE("http server: without a file descriptor left it rests, and serves those who waited once there are some again") {
  asio::io_context loop;
  HttpServer server(loop, hooks());
  REQUIRE(server.listen("127.0.0.1:0") == "");
  const tcp::endpoint there(asio::ip::make_address("127.0.0.1"), server.port());
  tcp::socket first(loop);
  first.connect(there);
  CHECK(ask(loop, first).starts_with("HTTP/1.1 200"));
  tcp::socket second(loop, tcp::v4());
  {
    const AllDescriptors taken;
    second.connect(there);  // the kernel takes it, the server cannot
    CHECK(loop.run_for(kLook) < kHandlersMax);
  }
  CHECK(ask(loop, second).starts_with("HTTP/1.1 200"));
  server.stop();
}

TEST_CASE("http server: a session that ends makes room at once for who waits") {
  asio::io_context loop;
  HttpServer server(loop, hooks(std::chrono::hours(1)));
  REQUIRE(server.listen("127.0.0.1:0") == "");
  const tcp::endpoint there(asio::ip::make_address("127.0.0.1"), server.port());
  tcp::socket first(loop);
  first.connect(there);
  CHECK(ask(loop, first).starts_with("HTTP/1.1 200"));
  tcp::socket second(loop, tcp::v4());
  {
    const AllDescriptors taken;
    second.connect(there);
    loop.run_for(kLook);
    first.shutdown(tcp::socket::shutdown_both);  // keeps its own descriptor: what is free now is the server's
    CHECK(ask(loop, second).starts_with("HTTP/1.1 200"));
  }
  server.stop();
}
