// Requests and replies as the node's pages need them, what a browser may do with a reply, and whom it is for.
// Size: a head of at most kHttpHeadBytesMax, a body of at most kHttpBodyBytesMax. Threads: none. Memory: the request's.
// Errors: none.
#pragma once

#include <array>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rse {

inline constexpr std::size_t kHttpHeadBytesMax = 8192;
inline constexpr std::size_t kHttpBodyBytesMax = 4096;

struct HttpRequest {
  std::string method;                          // "GET"
  std::string path;                            // "/api/v1/cells", without the query
  std::map<std::string, std::string> query;    // decoded
  std::map<std::string, std::string> headers;  // names in small letters
  std::string body;

  /// Empty: it was not given.
  std::string_view header(const std::string& name) const;
  std::string_view argument(const std::string& name) const;
};

struct HttpReply {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
};

/// "Not Found".
const char* http_reason(int status);
/// Of every reply.
inline constexpr std::array<std::pair<const char*, const char*>, 5> kHttpReplyHeaders{{
    {"Cache-Control", "no-cache"},
    {"X-Content-Type-Options", "nosniff"},
    {"Referrer-Policy", "no-referrer"},
    {"X-Frame-Options", "DENY"},
    {"Content-Security-Policy",
     "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"},
}};
/// A server-sent event. `data` holds no line feed.
std::string http_event_bytes(std::string_view name, std::string_view data);

/// In small letters, as far as they are of ASCII.
std::string http_lower(std::string_view text);
/// Whether a browser was really asked for this machine (and not for a name that somebody made point here): localhost, a
/// loopback address, the address that is listened on, or a name that the operator allows (of a tunnel or a proxy).
bool is_allowed_host(std::string_view host, std::string_view listen_host, const std::vector<std::string>& allowed);
/// In a time that does not depend on where they differ.
bool is_same_secret(std::string_view a, std::string_view b);

}  // namespace rse
