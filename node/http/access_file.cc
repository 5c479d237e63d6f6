#include "node/http/access_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace rse {
namespace {

constexpr std::size_t kUrlBytesMax = 1024;
constexpr std::string_view kSecretBegins = "#token=";

std::string cause() { return std::strerror(errno); }

}  // namespace

std::string read_dashboard_url(const std::string& directory, std::string& failure) {
  const std::string path = directory + kDashboardUrlFile;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) {
    failure = errno == ENOENT ? fmt::format("{} is not there: the node of that directory serves no page; start it with --http 127.0.0.1:7480", path)
                              : fmt::format("cannot open {}: {}; ask as the user that runs the node", path, cause());
    return {};
  }
  struct stat about {};
  std::array<char, kUrlBytesMax> bytes{};
  const bool known = ::fstat(fd, &about) == 0;
  const ssize_t got = known ? ::read(fd, bytes.data(), bytes.size()) : -1;
  ::close(fd);
  if (got <= 0) {
    failure = fmt::format("cannot read {}: {}; start the node again", path, got == 0 ? "it is empty" : cause());
    return {};
  }
  if ((about.st_mode & 077) != 0) {
    failure = fmt::format("{} may be read by others (mode {:04o}): its secret counts no more; start the node again, which makes a new one", path,
                          about.st_mode & 07777);
    return {};
  }
  std::string url(bytes.data(), static_cast<std::size_t>(got));
  return url.substr(0, url.find('\n'));
}

std::string take_dashboard_token(const std::string& directory, std::string& warning) {
  const std::string path = directory + kDashboardUrlFile;
  if (::access(path.c_str(), F_OK) != 0) return {};
  const std::string url = read_dashboard_url(directory, warning);
  ::unlink(path.c_str());
  const std::size_t at = url.find(kSecretBegins);
  return at == std::string::npos ? std::string() : url.substr(at + kSecretBegins.size());
}

std::string write_dashboard_url(const std::string& directory, const std::string& url) {
  const std::string path = directory + kDashboardUrlFile;
  const std::string fresh = path + ".new";
  ::unlink(fresh.c_str());
  const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  const std::string line = url + "\n";
  bool written = fd >= 0 && ::write(fd, line.data(), line.size()) == static_cast<ssize_t>(line.size());
  written = written && ::rename(fresh.c_str(), path.c_str()) == 0;
  const std::string why = written ? std::string() : cause();
  if (fd >= 0) ::close(fd);
  if (written) return {};
  ::unlink(fresh.c_str());
  return fmt::format("cannot write {}: {}; the page may be changed only with --http-token", path, why);
}

}  // namespace rse
