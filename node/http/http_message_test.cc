#include "node/http/http_message.h"

#include <doctest/doctest.h>

namespace rse {

TEST_CASE("http: a request is taken once it is whole, however it comes in") {
  const std::string whole = "POST /api/v1/inject?torus=2&name=a%20b HTTP/1.1\r\nHost: localhost:7480\r\nContent-Length: 5\r\n\r\nhelloGET";
  for (std::size_t size = 0; size < whole.size() - 3; ++size) {
    CAPTURE(size);
    std::string some = whole.substr(0, size);
    HttpRequest request;
    CHECK(take_http_request(some, request) == HttpParse::kIncomplete);
    CHECK(some.size() == size);
  }
  std::string bytes = whole;
  HttpRequest request;
  REQUIRE(take_http_request(bytes, request) == HttpParse::kDone);
  CHECK(request.method == "POST");
  CHECK(request.path == "/api/v1/inject");
  CHECK(request.argument("torus") == "2");
  CHECK(request.argument("name") == "a b");
  CHECK(request.header("host") == "localhost:7480");
  CHECK(request.body == "hello");
  CHECK(bytes == "GET");
}

TEST_CASE("http: what is no request, or too large for one, is refused before it costs memory") {
  const auto parse = [](std::string bytes) {
    HttpRequest request;
    return take_http_request(bytes, request);
  };
  CHECK(parse("hello\r\n\r\n") == HttpParse::kBad);
  CHECK(parse("GET http://elsewhere/ HTTP/1.1\r\n\r\n") == HttpParse::kBad);
  CHECK(parse("GET / HTTP/2.0\r\n\r\n") == HttpParse::kBad);
  CHECK(parse("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n") == HttpParse::kBad);
  CHECK(parse("GET / HTTP/1.1\r\nno header\r\n\r\n") == HttpParse::kBad);
  CHECK(parse("POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n") == HttpParse::kBad);
  CHECK(parse("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n") == HttpParse::kBad);
  CHECK(parse("POST / HTTP/1.1\r\nContent-Length: 4097\r\n\r\n") == HttpParse::kTooLarge);
  CHECK(parse(std::string(kHttpHeadBytesMax + 1, 'a')) == HttpParse::kTooLarge);
}

TEST_CASE("http: only a browser that was asked for this machine gets an answer") {
  for (const char* host : {"localhost", "localhost:7480", "127.0.0.1:7480", "127.8.9.1", "[::1]:7480", "node.lan:7480"})
    CHECK(is_allowed_host(host, "node.lan", {}));
  for (const char* host : {"", "example.org", "127.example.org:7480", "localhost.example.org", "[::2]:7480", "10.0.0.1"})
    CHECK(!is_allowed_host(host, "node.lan", {}));
}

TEST_CASE("http: a name that the operator allows is served, and no other one") {
  const std::vector<std::string> allowed = {"rse.example.org", "other"};
  for (const char* host : {"rse.example.org", "RSE.Example.Org:443", "other:1"}) CHECK(is_allowed_host(host, "127.0.0.1", allowed));
  for (const char* host : {"", ":443", "example.org", "rse.example.org.evil.example", "xrse.example.org"})
    CHECK(!is_allowed_host(host, "127.0.0.1", allowed));
  CHECK(!is_allowed_host("", "127.0.0.1", {""}));
}

TEST_CASE("http: secrets are the same only if every byte is") {
  CHECK(is_same_secret("abc", "abc"));
  CHECK(!is_same_secret("abc", "abd"));
  CHECK(!is_same_secret("abc", "abcd"));
  CHECK(!is_same_secret("", "a"));
}

}  // namespace rse
