#include "node/http/http_message.h"

#include <doctest/doctest.h>

namespace rse {

TEST_CASE("http: only a browser that was asked for this machine gets an answer") {
  for (const char* host : {"localhost", "localhost:7480", "127.0.0.1:7480", "127.8.9.1", "[::1]:7480", "node.lan:7480"})
    CHECK(is_allowed_host(host, "node.lan", {}));
  for (const char* host :
       {"", "example.org", "127.example.org:7480", "localhost.example.org", "[::2]:7480", "10.0.0.1"})
    CHECK(!is_allowed_host(host, "node.lan", {}));
}

TEST_CASE("http: a name that the operator allows is served, and no other one") {
  const std::vector<std::string> allowed = {"rse.example.org", "other"};
  for (const char* host : {"rse.example.org", "RSE.Example.Org:443", "other:1"})
    CHECK(is_allowed_host(host, "127.0.0.1", allowed));
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
