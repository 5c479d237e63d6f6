#include "node/control_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <filesystem>

namespace rse {
namespace {

namespace fs = std::filesystem;
constexpr const char* kSuffix = ".control";

std::optional<ControlAddress> unix_address(const std::string& path, std::string& failure) {
  ControlAddress address;
  auto* name = reinterpret_cast<sockaddr_un*>(&address.storage);
  if (path.size() >= sizeof name->sun_path) {
    failure = "the path " + path + " is too long for a Unix socket (" + std::to_string(sizeof name->sun_path - 1) +
              " bytes); use a shorter --control";
    return std::nullopt;
  }
  name->sun_family = AF_UNIX;
  std::memcpy(name->sun_path, path.c_str(), path.size() + 1);
  address.family = AF_UNIX;
  address.size = sizeof *name;
  return address;
}

}  // namespace

bool ControlAddress::is_loopback() const {
  if (family == AF_UNIX) return true;
  if (family == AF_INET) {
    const auto* name = reinterpret_cast<const sockaddr_in*>(&storage);
    return (ntohl(name->sin_addr.s_addr) >> 24) == 127;
  }
  const auto* name = reinterpret_cast<const sockaddr_in6*>(&storage);
  return IN6_IS_ADDR_LOOPBACK(&name->sin6_addr);
}

bool ControlAddress::connects() const {
  const int fd = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const bool connected = ::connect(fd, sockaddr_of(), size) == 0;
  const int cause = errno;
  ::close(fd);
  errno = cause;  // for callers who want to know why not
  return connected;
}

std::optional<ControlAddress> parse_control_address(const std::string& text, std::string& failure) {
  if (text.find('/') != std::string::npos) return unix_address(text, failure);
  const std::size_t colon = text.rfind(':');
  std::uint16_t port = 0;
  std::string host = colon == std::string::npos ? text : text.substr(0, colon);
  const char* digits = colon == std::string::npos ? "" : text.c_str() + colon + 1;
  const auto [end, error] = std::from_chars(digits, digits + std::strlen(digits), port);
  if (error != std::errc{} || *end != '\0' || port == 0) {
    failure = "\"" + text + "\" is neither a path (with a /) nor HOST:PORT";
    return std::nullopt;
  }
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  if (host == "localhost") host = "127.0.0.1";
  ControlAddress address;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
  if (::inet_pton(AF_INET, host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    address.family = AF_INET;
    address.size = sizeof *v4;
    return address;
  }
  address = {};
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
  if (::inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    address.family = AF_INET6;
    address.size = sizeof *v6;
    return address;
  }
  failure = "\"" + host + "\" is no numeric address; the control API is on this machine: use a path or 127.0.0.1:PORT";
  return std::nullopt;
}

std::string runtime_directory() {
  std::string path;
  if (const char* given = std::getenv("RSE_RUNTIME_DIR"); given != nullptr && *given != '\0') {
    path = given;
  } else if (const char* xdg = std::getenv("XDG_RUNTIME_DIR"); xdg != nullptr && *xdg != '\0') {
    path = std::string(xdg) + "/rse";
  } else {
    path = "/tmp/rse-" + std::to_string(::getuid());
  }
  ::mkdir(path.c_str(), 0700);
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0 || !S_ISDIR(info.st_mode) || info.st_uid != ::getuid()) return {};
  return path;
}

void publish_control(const std::string& name, const std::string& where) {
  const std::string folder = runtime_directory();
  if (folder.empty() || name.find('/') != std::string::npos) return;
  const std::string link = folder + "/" + name + kSuffix;
  if (link == where) return;  // it is there already
  ::unlink(link.c_str());
  [[maybe_unused]] const int made = ::symlink(where.c_str(), link.c_str());  // a convenience: no link, no harm
}

void withdraw_control(const std::string& name, const std::string& where) {
  const std::string folder = runtime_directory();
  if (folder.empty() || name.find('/') != std::string::npos) return;
  const std::string link = folder + "/" + name + kSuffix;
  std::error_code error;
  if (fs::read_symlink(link, error) == where) ::unlink(link.c_str());
}

std::vector<PublishedControl> published_controls() {
  std::vector<PublishedControl> found;
  const std::string folder = runtime_directory();
  if (folder.empty()) return found;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    const std::string file = entry.path().filename();
    if (!entry.is_symlink(error) || !file.ends_with(kSuffix)) continue;
    const std::string where = fs::read_symlink(entry.path(), error);
    std::string failure;
    const auto address = parse_control_address(where, failure);
    if (!address) continue;
    if (!address->connects()) {
      if (errno == ECONNREFUSED || errno == ENOENT) ::unlink(entry.path().c_str());
      continue;
    }
    found.push_back({file.substr(0, file.size() - std::strlen(kSuffix)), where});
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return found;
}

}  // namespace rse
