#include "tests/e2e/http_connection.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdint>

namespace rse {

HttpConnection::HttpConnection(int port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(port));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const timeval limit{10, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  (void)!::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to);
}

HttpConnection::~HttpConnection() { ::close(fd_); }

void HttpConnection::send(const std::string& bytes) const {
  (void)!::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

std::string HttpConnection::read(const std::string& until) const {
  std::string out;
  char bytes[4096];
  while (out.find(until) == std::string::npos) {
    const ssize_t got = ::recv(fd_, bytes, sizeof bytes, 0);
    if (got <= 0) break;
    out.append(bytes, static_cast<std::size_t>(got));
  }
  return out;
}

std::string http_ask(int port, const std::string& first_line, const std::string& more, const std::string& body) {
  const HttpConnection connection(port);
  constexpr const char* kRequest =
      "{} HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\nContent-Length: {}\r\n{}\r\n{}";
  connection.send(fmt::format(kRequest, first_line, port, body.size(), more, body));
  return connection.read();
}

std::string http_body(const std::string& answer) {
  const std::size_t end_of_head = answer.find("\r\n\r\n");
  return end_of_head == std::string::npos ? "" : answer.substr(end_of_head + 4);
}

}  // namespace rse
