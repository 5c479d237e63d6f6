#include "node/http/http_message.h"

#include <fmt/format.h>

#include <algorithm>

namespace rse {

std::string_view HttpRequest::header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? std::string_view{} : found->second;
}

std::string_view HttpRequest::argument(const std::string& name) const {
  const auto found = query.find(name);
  return found == query.end() ? std::string_view{} : found->second;
}

const char* http_reason(int status) {
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

std::string http_event_bytes(std::string_view name, std::string_view data) {
  return fmt::format("event: {}\ndata: {}\n\n", name, data);
}

std::string http_lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  return out;
}

bool is_allowed_host(std::string_view host, std::string_view listen_host, const std::vector<std::string>& allowed) {
  if (host.starts_with('[')) {
    host = host.substr(0, host.find(']') + 1);
  } else {
    host = host.substr(0, host.rfind(':'));
  }
  const std::string name = http_lower(host);
  const auto is_name = [&](const std::string& one) { return http_lower(one) == name; };
  if (std::any_of(allowed.begin(), allowed.end(), is_name)) return !name.empty();
  if (host == "localhost" || host == "[::1]" || (!listen_host.empty() && host == listen_host)) return true;
  // 127.0.0.0/8 as numbers: 127.example.org is a name.
  return host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string_view::npos;
}

bool is_same_secret(std::string_view a, std::string_view b) {
  unsigned different = a.size() == b.size() ? 0 : 1;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    different |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i]);
  return different == 0;
}

}  // namespace rse
