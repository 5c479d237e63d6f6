#include "node/disk_writer.h"

#include <doctest/doctest.h>

#include <chrono>

#include "node/storage/simulated_files.h"

namespace rse {
namespace {

/// A disk whose writes to cuts/ take as long as the test wants.
struct SlowDisk {
  SimulatedDisk disk{1};
  std::mutex one_at_a_time;
  std::mutex gate;  // held by the test: the cut waits
  std::function<void()> after_piece;  // of a cut; called once
};

class SlowFiles final : public FileSystem {
  template <class Call, class... Arguments>
  auto locked(Call call, const Arguments&... arguments) {
    const std::lock_guard lock(slow_.one_at_a_time);
    return (files_.get()->*call)(arguments...);
  }

 public:
  explicit SlowFiles(SlowDisk& slow) : slow_(slow), files_(slow.disk.mount()) {}
  bool make_directory(const std::string& path) override { return locked(&FileSystem::make_directory, path); }
  bool write_new(const std::string& path, std::span<const std::byte> bytes) override {
    if (path.rfind("cuts/", 0) == 0) const std::lock_guard wait(slow_.gate);
    return locked(&FileSystem::write_new, path, bytes);
  }
  bool append(const std::string& path, std::span<const std::byte> bytes) override {
    const bool done = locked(&FileSystem::append, path, bytes);
    if (path.rfind("cuts/", 0) == 0 && slow_.after_piece) std::exchange(slow_.after_piece, nullptr)();
    return done;
  }
  bool write_at(const std::string& path, std::uint64_t offset, std::span<const std::byte> bytes) override {
    return locked(&FileSystem::write_at, path, offset, bytes);
  }
  bool sync(const std::string& path) override { return locked(&FileSystem::sync, path); }
  bool sync_directory(const std::string& path) override { return locked(&FileSystem::sync_directory, path); }
  bool rename(const std::string& from, const std::string& to) override {
    return locked(&FileSystem::rename, from, to);
  }
  bool remove(const std::string& path) override { return locked(&FileSystem::remove, path); }
  bool truncate(const std::string& path, std::uint64_t size) override {
    return locked(&FileSystem::truncate, path, size);
  }
  std::optional<Bytes> read(const std::string& path) override { return locked(&FileSystem::read, path); }
  std::optional<Bytes> read_part(const std::string& path, std::uint64_t offset, std::size_t size) override {
    return locked(&FileSystem::read_part, path, offset, size);
  }
  std::optional<std::uint64_t> size(const std::string& path) override { return locked(&FileSystem::size, path); }
  std::optional<std::vector<std::string>> list(const std::string& path) override {
    return locked(&FileSystem::list, path);
  }
  std::uint64_t random() override { return locked(&FileSystem::random); }
  std::string shown(const std::string& path) const override { return files_->shown(path); }

 private:
  SlowDisk& slow_;
  std::unique_ptr<FileSystem> files_;
};

/// A data directory on a slow disk, its writer, and what the writer has reported.
struct Story {
  Story() {
    StorageError error;
    directory = DataDirectory::open(std::make_unique<SlowFiles>(slow), error, std::make_unique<SlowFiles>(slow));
    REQUIRE_MESSAGE(directory, error.text);
    writer = std::make_unique<DiskWriter>(
        *directory, "", loop,
        DiskWriter::Callbacks{[this](std::uint64_t token) { durable.push_back(token); },
                              [this](const StorageError& failure) { failures.push_back(failure.text); }});
  }
  void submit(std::uint64_t token, decltype(Persist::what) what) { writer->submit({token, std::move(what)}); }
  bool wait_until(std::size_t count) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (durable.size() + failures.size() < count && std::chrono::steady_clock::now() < end) {
      loop.restart();
      loop.run_for(std::chrono::milliseconds(1));
    }
    return durable.size() + failures.size() == count;
  }

  SlowDisk slow;
  asio::io_context loop;
  std::vector<std::uint64_t> durable;
  std::vector<std::string> failures;
  std::unique_ptr<DataDirectory> directory;
  std::unique_ptr<DiskWriter> writer;
};

PersistCut cut_of_regions(CutNumber number, std::size_t bytes) {
  auto region = std::make_shared<Region>(Region{0, Bytes(bytes)});
  PersistCut cut{RunId{1}, TorusId{0}, number, 1, {}, {}};
  for (std::size_t r = 0; r < kRegionCount; r += 2) {
    cut.digests.of[r] = digest_of(region->bytes);
    auto same = std::make_shared<Region>(*region);
    same->index = static_cast<std::uint8_t>(r);
    cut.regions.push_back(std::move(same));
  }
  return cut;
}

TEST_CASE("disk writer: a vote is durable while a cut is still being written") {
  Story story;
  std::unique_lock cut_waits(story.slow.gate);
  story.submit(1, cut_of_regions(1, 1000));
  story.submit(2, PersistVote{Bytes(100)});
  story.submit(3, PersistVote{Bytes(200)});
  REQUIRE(story.wait_until(2));
  CHECK(story.durable == std::vector<std::uint64_t>{2, 3});
  cut_waits.unlock();
  REQUIRE(story.wait_until(3));
  CHECK(story.durable.back() == 1);
  story.writer->stop();
  story.directory.reset();
  StorageError error;
  auto again = DataDirectory::open(story.slow.disk.mount(), error);
  REQUIRE_MESSAGE(again, error.text);
  const Recovered recovered = again->take_recovered();
  CHECK(recovered.vote == Bytes(200));
  CHECK(recovered.cuts.size() == 1);
}

TEST_CASE("disk writer: what is submitted after a vote is durable after it; the end waits for both") {
  for (int round = 0; round < 50; ++round) {
    CAPTURE(round);
    Story story;
    story.submit(1, PersistVote{Bytes(100)});
    story.submit(2, PersistSeals{});
    story.submit(3, PersistVote{Bytes(101)});
    story.submit(4, DropCuts{RunId{1}, 1});
    if (round % 2 == 0) {
      story.writer->stop();
      story.directory.reset();
      StorageError error;
      CHECK(DataDirectory::open(story.slow.disk.mount(), error)->take_recovered().vote == Bytes(101));
      continue;
    }
    REQUIRE(story.wait_until(4));
    const auto place = [&](std::uint64_t token) {
      return std::find(story.durable.begin(), story.durable.end(), token) - story.durable.begin();
    };
    CHECK(place(1) < place(2));
    CHECK(place(3) < place(4));
  }
}

TEST_CASE("disk writer: seals overtake a cut that is being written, and nothing else does") {
  Story story;
  story.slow.after_piece = [&] {
    story.submit(2, PersistSeals{});
    story.submit(3, DropCuts{RunId{1}, 1});
    story.submit(4, PersistSeals{});
  };
  story.submit(1, cut_of_regions(1, 2 << 20));
  REQUIRE(story.wait_until(4));
  CHECK(story.durable == std::vector<std::uint64_t>{2, 1, 3, 4});
}

TEST_CASE("disk writer: after a failed vote nothing more is written, and it is said once") {
  Story story;
  story.submit(1, PersistVote{Bytes(100)});
  REQUIRE(story.wait_until(1));
  story.slow.disk.fail_at(story.slow.disk.operations(), EIO, true);
  story.submit(2, PersistVote{Bytes(100)});
  story.submit(3, cut_of_regions(1, 1000));
  story.submit(4, PersistVote{Bytes(100)});
  REQUIRE(story.wait_until(2));
  story.writer->stop();
  story.loop.restart();
  story.loop.poll();
  CHECK(story.durable == std::vector<std::uint64_t>{1});
  CHECK(story.failures.size() == 1);
}

}  // namespace
}  // namespace rse
