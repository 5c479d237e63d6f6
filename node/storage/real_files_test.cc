// The one test of storage that touches a disk: that POSIX does what SimulatedDisk assumes, and the
// lock.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "node/storage/storage_story.h"

namespace rse {
namespace {

std::string fresh_directory() {
  const char* base = std::getenv("TEST_TMPDIR");
  std::string path = std::string(base != nullptr ? base : "/tmp") + "/rse-storage-XXXXXX";
  REQUIRE(::mkdtemp(path.data()) != nullptr);
  return path;
}

TEST_CASE("real files: the story reads back the same from a real directory") {
  const std::string root = fresh_directory();
  const std::string path = root + "/made/on/the/way";
  StoredState state;
  for (const auto& step : make_story(1, 5000)) {
    StorageError error;
    const auto directory = DataDirectory::open(path, error);
    REQUIRE_MESSAGE(directory, error.text);
    CHECK(state_of(directory->take_recovered()) == state);
    CHECK(!directory->persist(std::span(step)));
    for (const Persist& work : step) apply(state, work);
  }
  std::filesystem::remove_all(root);
}

TEST_CASE(
    "real files: a directory in use is refused with the process that uses it, and free when that "
    "ends") {
  const std::string root = fresh_directory();
  StorageError error;
  auto first = DataDirectory::open(root, error);
  REQUIRE(first);
  CHECK(!DataDirectory::open(root, error));
  CHECK(error.text == root + " is in use by process " + std::to_string(::getpid()) +
                          "; stop it, or give this node its own --data-dir");
  first.reset();
  CHECK(DataDirectory::open(root, error));
  std::filesystem::remove_all(root);
}

TEST_CASE("real files: a directory that cannot be made says why") {
  const std::string root = fresh_directory();
  StorageError error;
  REQUIRE(DataDirectory::open(root, error));
  CHECK(!DataDirectory::open(root + "/identity/below-a-file", error));
  CHECK(error.text.find("cannot make " + root + "/identity/below-a-file: Not a directory") == 0);
  std::filesystem::remove_all(root);
}

TEST_CASE("real files: each operation does what the simulated disk does") {
  const std::string root = fresh_directory();
  const auto real = real_file_system(root);
  SimulatedDisk disk(1);
  const auto simulated = disk.mount();
  const Bytes some(10, std::byte{1});
  const Bytes more(5, std::byte{2});
  for (FileSystem* files : {real.get(), simulated.get()}) {
    CHECK(files->make_directory("d"));
    CHECK(files->make_directory("d"));
    CHECK(!files->append("d/a", some));
    CHECK(!files->read("d/a"));
    CHECK(errno == ENOENT);
    CHECK(files->write_new("d/a", some));
    CHECK(files->append("d/a", more));
    CHECK(files->write_at("d/a", 8, more));
    CHECK(files->write_at("d/a", 20, more));
    CHECK(files->sync("d/a"));
    CHECK(files->size("d/a") == 25);
    CHECK(!files->read_part("d/a", 24, 2));
    CHECK((*files->read_part("d/a", 12, 2))[0] == std::byte{2});
    CHECK(files->truncate("d/a", 9));
    CHECK(files->rename("d/a", "d/b"));
    CHECK(files->append("d/b", more));
    CHECK(files->sync_directory("d"));
    CHECK(files->list("d") == std::vector<std::string>{"b"});
    CHECK(files->size("d/b") == 14);
    CHECK(files->write_new("d/b", more));
    CHECK(*files->read("d/b") == more);
    CHECK(files->remove("d/b"));
    CHECK(!files->remove("d/b"));
    CHECK(files->list("d")->empty());
  }
  std::filesystem::remove_all(root);
}

}  // namespace
}  // namespace rse
