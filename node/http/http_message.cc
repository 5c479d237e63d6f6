#include "node/http/http_message.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace rse {
namespace {

constexpr std::size_t kHeadersMax = 64;

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c); });
  return out;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// Up to `separator`, which is taken too.
std::string_view take_until(std::string_view& text, std::string_view separator) {
  const std::size_t at = text.find(separator);
  const std::string_view part = text.substr(0, at);
  text = at == std::string_view::npos ? std::string_view{} : text.substr(at + separator.size());
  return part;
}

std::string decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned value = 0;
    const char* const digits = text.data() + i + 1;
    if (text[i] == '%' && i + 2 < text.size() && std::from_chars(digits, digits + 2, value, 16).ptr == digits + 2) {
      out += static_cast<char>(value);
      i += 2;
    } else {
      out += text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

bool parse_target(std::string_view target, HttpRequest& request) {
  if (target.empty() || target.front() != '/') return false;
  request.path = std::string(take_until(target, "?"));
  while (!target.empty()) {
    std::string_view pair = take_until(target, "&");
    const std::string_view name = take_until(pair, "=");
    request.query[decoded(name)] = decoded(pair);
  }
  return true;
}

bool parse_head(std::string_view head, HttpRequest& request) {
  std::string_view line = take_until(head, "\r\n");
  request.method = std::string(take_until(line, " "));
  const std::string_view target = take_until(line, " ");
  if (request.method.empty() || (line != "HTTP/1.1" && line != "HTTP/1.0") || !parse_target(target, request)) return false;
  request.keep_alive = line == "HTTP/1.1";
  while (!head.empty()) {
    line = take_until(head, "\r\n");
    if (line.find(':') == std::string_view::npos || request.headers.size() >= kHeadersMax) return false;
    const std::string name = lower(take_until(line, ":"));
    // Two of these could mean two things to two readers.
    if (!request.headers.emplace(name, trimmed(line)).second && (name == "host" || name == "content-length")) return false;
  }
  if (lower(request.header("connection")) == "close") request.keep_alive = false;
  return request.header("transfer-encoding").empty();
}

const char* reason(int status) {
  switch (status) {
    case 200: return "OK";
    case 400: return "Bad Request";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 413: return "Content Too Large";
    case 503: return "Service Unavailable";
    default: return "Error";
  }
}

constexpr const char* kCommonHeaders =
    "Cache-Control: no-cache\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\nX-Frame-Options: DENY\r\n"
    "Content-Security-Policy: default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'\r\n";

}  // namespace

std::string_view HttpRequest::header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? std::string_view{} : found->second;
}

std::string_view HttpRequest::argument(const std::string& name) const {
  const auto found = query.find(name);
  return found == query.end() ? std::string_view{} : found->second;
}

HttpParse take_http_request(std::string& bytes, HttpRequest& request) {
  const std::size_t end = bytes.find("\r\n\r\n");
  if (end == std::string::npos) return bytes.size() > kHttpHeadBytesMax ? HttpParse::kTooLarge : HttpParse::kIncomplete;
  if (end > kHttpHeadBytesMax) return HttpParse::kTooLarge;
  request = {};
  if (!parse_head(std::string_view(bytes).substr(0, end), request)) return HttpParse::kBad;
  std::size_t size = 0;
  if (const std::string_view text = request.header("content-length"); !text.empty()) {
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), size);
    if (error != std::errc{} || rest != text.data() + text.size()) return HttpParse::kBad;
    if (size > kHttpBodyBytesMax) return HttpParse::kTooLarge;
  }
  const std::size_t begin = end + 4;
  if (bytes.size() < begin + size) return HttpParse::kIncomplete;
  request.body = bytes.substr(begin, size);
  bytes.erase(0, begin + size);
  return HttpParse::kDone;
}

std::string http_reply_bytes(const HttpReply& reply, bool keep_alive, HttpBody body) {
  return fmt::format("HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n{}Connection: {}\r\n\r\n{}", reply.status, reason(reply.status),
                     reply.content_type, reply.body.size(), kCommonHeaders, keep_alive ? "keep-alive" : "close", body == HttpBody::kSent ? reply.body : std::string());
}

std::string http_stream_head() {
  return fmt::format("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n{}Connection: close\r\n\r\nretry: 1000\n\n", kCommonHeaders);
}

std::string http_event_bytes(std::string_view name, std::string_view data) { return fmt::format("event: {}\ndata: {}\n\n", name, data); }

bool is_allowed_host(std::string_view host, std::string_view listen_host, const std::vector<std::string>& allowed) {
  if (host.starts_with('[')) {
    host = host.substr(0, host.find(']') + 1);
  } else {
    host = host.substr(0, host.rfind(':'));
  }
  const std::string name = lower(host);
  if (std::any_of(allowed.begin(), allowed.end(), [&](const std::string& one) { return lower(one) == name; })) return !name.empty();
  if (host == "localhost" || host == "[::1]" || (!listen_host.empty() && host == listen_host)) return true;
  // 127.0.0.0/8 as numbers: 127.example.org is a name.
  return host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string_view::npos;
}

bool is_same_secret(std::string_view a, std::string_view b) {
  unsigned different = a.size() == b.size() ? 0 : 1;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) different |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i]);
  return different == 0;
}

}  // namespace rse
