// The secret half of a node's identity on disk. The only test here that writes files: what it checks is the file.
#include "node/node_key.h"

#include <doctest/doctest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

namespace rse {
namespace {

struct Folder {
  Folder() {
    std::string pattern = "/tmp/rse-key-XXXXXX";
    if (::mkdtemp(pattern.data()) != nullptr) path = pattern;
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string path;
};

TEST_CASE("node key: made once, private, and read back as the same identity") {
  const Folder folder;
  std::string failure;
  CHECK_FALSE(read_node_key(folder.path, failure));
  CHECK(failure.empty());
  const auto made = make_node_key(folder.path, failure);
  REQUIRE_MESSAGE(made, failure);
  struct stat about {};
  REQUIRE(::stat((folder.path + "/key").c_str(), &about) == 0);
  CHECK((about.st_mode & 07777) == 0600);
  const auto read = read_node_key(folder.path, failure);
  REQUIRE_MESSAGE(read, failure);
  CHECK(read->shared() == made->shared());
  CHECK_FALSE(make_node_key(folder.path, failure)->shared() == made->shared());
}

TEST_CASE("node key: a file that others may read, or that is damaged anywhere, is refused with its name") {
  const Folder folder;
  const std::string path = folder.path + "/key";
  std::string failure;
  REQUIRE(make_node_key(folder.path, failure));
  REQUIRE(::chmod(path.c_str(), 0640) == 0);
  CHECK_FALSE(read_node_key(folder.path, failure));
  CHECK(failure.find(path + " may be read by others (mode 0640)") == 0);
  REQUIRE(::chmod(path.c_str(), 0600) == 0);
  const auto size = std::filesystem::file_size(path);
  for (std::uintmax_t at = 0; at <= size; ++at) {
    CAPTURE(at);
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    char before = 0;
    file.seekg(static_cast<std::streamoff>(at));
    if (at < size) file.get(before);
    file.seekp(static_cast<std::streamoff>(at));
    file.put(static_cast<char>(before ^ 1));  // at the end: one byte too many
    file.close();
    failure.clear();
    CHECK_FALSE(read_node_key(folder.path, failure));
    CHECK(failure.find(path + " is damaged") == 0);
    std::filesystem::resize_file(path, size);
    std::fstream again(path, std::ios::in | std::ios::out | std::ios::binary);
    again.seekp(static_cast<std::streamoff>(at));
    if (at < size) again.put(before);
  }
  failure.clear();
  CHECK_MESSAGE(read_node_key(folder.path, failure), failure);
}

}  // namespace
}  // namespace rse
