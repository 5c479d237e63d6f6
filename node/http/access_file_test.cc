#include "node/http/access_file.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

using namespace rse;

namespace {

constexpr const char* kUrl = "http://127.0.0.1:7480/#token=0123456789abcdef";

struct Folder {
  Folder() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
  ~Folder() {
    ::unlink(file().c_str());
    ::rmdir(path.c_str());
  }
  std::string file() const { return path + kDashboardUrlFile; }
  std::string path = std::string(std::getenv("TEST_TMPDIR") != nullptr ? std::getenv("TEST_TMPDIR") : "/tmp") + "/access-XXXXXX";
};

}  // namespace

TEST_CASE("access file: only its owner may read it, and the next start keeps the secret") {
  const Folder folder;
  const mode_t before = ::umask(0);
  CHECK(write_dashboard_url(folder.path, kUrl) == "");
  ::umask(before);
  struct stat about {};
  REQUIRE(::stat(folder.file().c_str(), &about) == 0);
  CHECK((about.st_mode & 07777) == 0600);
  std::string failure;
  CHECK(read_dashboard_url(folder.path, failure) == kUrl);
  CHECK(take_dashboard_token(folder.path, failure) == "0123456789abcdef");
  CHECK(failure == "");
  CHECK(::access(folder.file().c_str(), F_OK) != 0);  // nothing is served yet
  CHECK(take_dashboard_token(folder.path, failure) == "");
  CHECK(failure == "");
}

TEST_CASE("access file: a secret that others could read counts no more") {
  const Folder folder;
  REQUIRE(write_dashboard_url(folder.path, kUrl) == "");
  REQUIRE(::chmod(folder.file().c_str(), 0640) == 0);
  std::string failure;
  CHECK(read_dashboard_url(folder.path, failure) == "");
  CHECK(failure.find("may be read by others (mode 0640)") != std::string::npos);
  CHECK(take_dashboard_token(folder.path, failure) == "");
}

TEST_CASE("access file: without one, the sentence says what to do") {
  const Folder folder;
  std::string failure;
  CHECK(read_dashboard_url(folder.path, failure) == "");
  CHECK(failure.find("start it with --http") != std::string::npos);
  CHECK(write_dashboard_url(folder.path + "/none", kUrl).find("cannot write") == 0);
}
