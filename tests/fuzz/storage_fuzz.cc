// A good data directory of which one file has been changed: the first byte chooses the file, then come patches (where, what), as
// many as there are bytes for. Sums over what was changed are made right again every other time, so that what is behind them is
// reached. Whatever comes of it, open() ends with a directory or with a reason.
#include <cstdint>
#include <cstring>
#include <map>

#include "node/storage/crc32c.h"
#include "node/storage/data_directory.h"
#include "node/storage/simulated_files.h"
#include "torus/base/assert.h"

using namespace rse;

namespace {

using Files = std::map<std::string, Bytes>;  // path -> contents

Persist work(decltype(Persist::what) what) { return {1, std::move(what)}; }

/// Small regions: a cut's file must stay small.
PersistCut some_cut(CutNumber number) {
  PersistCut cut{};
  cut.run = RunId{1};
  cut.torus = TorusId{1};
  cut.cut = number;
  cut.halves = kBothHalves;
  for (std::size_t r = 0; r < kRegionCount; ++r) {
    auto region = std::make_shared<Region>();
    region->index = static_cast<std::uint8_t>(r);
    region->bytes.assign(3, static_cast<std::byte>(r));
    if (r == 5) region->bytes[1] = static_cast<std::byte>(number);
    cut.digests.of[r] = digest_of(region->bytes);
    cut.regions.push_back(std::move(region));
  }
  return cut;
}

Files good_directory() {
  SimulatedDisk disk(1);
  StorageError error;
  {
    const auto directory = DataDirectory::open(disk.mount(), error);
    RSE_ASSERT(directory && !directory->set_cluster(ClusterId{5}), "an empty disk can be used");
    PersistSeals seals{};
    const Bytes scenario(60, std::byte{4});
    for (std::uint64_t epoch = 0; epoch < 3; ++epoch) {
      seals.seals.push_back({RunId{1}, TorusId{0}, Epoch{epoch}, ViewNumber{2}, Seal{}});
    }
    for (const Persist& each : {work(PersistVote{Bytes(40, std::byte{9})}), work(PersistScenario{scenario, digest_of(scenario), {}}),
                                work(std::move(seals)), work(some_cut(8)), work(some_cut(16))}) {
      RSE_ASSERT(!directory->persist(each), "the disk is good");
    }
  }
  Files files;
  const auto mounted = disk.mount();
  for (const std::string& name : mounted->list("").value_or(std::vector<std::string>{})) {
    if (auto bytes = mounted->read(name)) files[name] = std::move(*bytes);
  }
  for (const std::string& name : mounted->list("cuts").value_or(std::vector<std::string>{})) {
    files["cuts/" + name] = mounted->read("cuts/" + name).value_or(Bytes{});
  }
  return files;
}

std::uint32_t word_at(const Bytes& bytes, std::size_t at) {
  std::uint32_t word = 0;
  if (at + 4 <= bytes.size()) std::memcpy(&word, bytes.data() + at, 4);
  return word;
}
void set_sum(Bytes& bytes, std::size_t at, std::size_t from, std::size_t size, std::uint32_t seed = 0) {
  if (from + size > bytes.size()) return;
  const std::uint32_t sum = crc32c(std::span(bytes).subspan(from, size), seed);
  std::memcpy(bytes.data() + at, &sum, 4);
}

/// As format.md says where they are.
void mend_sums(const std::string& path, Bytes& bytes) {
  if (path.starts_with("cuts/")) set_sum(bytes, 12, 16, 8192 - 16);
  if (path == "identity") set_sum(bytes, 40, 0, 40);
  if (path == "vote") set_sum(bytes, 16, 0, 16);
  if (path == "journal" && bytes.size() > 44) {
    set_sum(bytes, 20, 0, 20);
    const std::uint32_t payload = word_at(bytes, 40);
    set_sum(bytes, 28, 32, 12 + std::size_t{payload}, crc32c(std::span(bytes).subspan(12, 8)));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Files good = good_directory();
  if (size < 2) return 0;
  const auto chosen = std::next(good.begin(), data[0] % static_cast<std::ptrdiff_t>(good.size()));
  Bytes bytes = chosen->second;
  const bool mend = data[1] % 2 != 0;
  if (data[1] >= 128) bytes.resize(std::min<std::size_t>(bytes.size(), (data[1] - 128) * 64));
  for (std::size_t at = 2; at + 3 <= size; at += 3) {
    const std::size_t where = data[at] | data[at + 1] << 8;
    if (where < bytes.size()) bytes[where] = static_cast<std::byte>(data[at + 2]);
  }
  if (mend) mend_sums(chosen->first, bytes);
  SimulatedDisk disk(1);
  RSE_ASSERT(disk.mount()->make_directory("cuts"), "the disk is good");
  for (const auto& [path, contents] : good) disk.put(path, path == chosen->first ? bytes : contents);
  StorageError error;
  const auto directory = DataDirectory::open(disk.mount(), error);
  RSE_ASSERT(directory || !error.text.empty(), "a refusal has a reason");
  if (directory) static_cast<void>(directory->take_recovered());
  return 0;
}
