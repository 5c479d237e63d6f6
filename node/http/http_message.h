// HTTP/1.1 as the node's pages need it: requests with a small body in, replies out. Bytes only: no sockets.
// Size: a head of at most kHttpHeadBytesMax, a body of at most kHttpBodyBytesMax. Threads: none. Memory: the request's.
// Errors: a status for the client; hostile bytes cost no more than the limits.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
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
  bool keep_alive = true;

  /// Empty: it was not given.
  std::string_view header(const std::string& name) const;
  std::string_view argument(const std::string& name) const;
};

struct HttpReply {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
};

enum class HttpParse { kIncomplete, kDone, kBad, kTooLarge };

/// Takes one request from the front of `bytes`. kIncomplete: come again with more; nothing was taken. kBad, kTooLarge: the
/// connection is of no more use.
HttpParse take_http_request(std::string& bytes, HttpRequest& request);

enum class HttpBody { kSent, kLeftOut };  // left out: an answer to HEAD
/// Head and body. What a browser may do with the page is said here, for every reply.
std::string http_reply_bytes(const HttpReply& reply, bool keep_alive, HttpBody body = HttpBody::kSent);
/// The head of a stream of server-sent events.
std::string http_stream_head();
/// `data` holds no line feed.
std::string http_event_bytes(std::string_view name, std::string_view data);

/// Whether a browser was really asked for this machine (and not for a name that somebody made point here): localhost, a
/// loopback address, the address that is listened on, or a name that the operator allows (of a tunnel or a proxy).
bool is_allowed_host(std::string_view host, std::string_view listen_host, const std::vector<std::string>& allowed);
/// In a time that does not depend on where they differ.
bool is_same_secret(std::string_view a, std::string_view b);

}  // namespace rse
