#include "node/storage/data_directory.h"

#include <doctest/doctest.h>

#include <cerrno>

#include "node/storage/storage_story.h"

namespace rse {
namespace {

std::unique_ptr<DataDirectory> open_on(SimulatedDisk& disk, StorageError& error) {
  return DataDirectory::open(disk.mount(), error);
}

/// Opens, which has to succeed, and returns what is there.
StoredState reopen(SimulatedDisk& disk, std::unique_ptr<DataDirectory>& directory) {
  StorageError error;
  directory = open_on(disk, error);
  REQUIRE_MESSAGE(directory, error.text);
  CHECK(directory->warnings().empty());
  return state_of(directory->take_recovered());
}

std::vector<std::string> paths_on(FileSystem& files) {
  std::vector<std::string> paths{"identity", "vote", "journal"};
  const auto names = files.list("");
  for (const std::string& name : *names) {
    if (name.starts_with("scenario-")) paths.push_back(name);
  }
  const auto cuts = files.list("cuts");
  for (const std::string& name : *cuts) paths.push_back("cuts/" + name);
  return paths;
}

std::vector<StoredState> states_of(const std::vector<std::vector<Persist>>& story) {
  std::vector<StoredState> states{StoredState{}};
  for (const auto& step : story) {
    StoredState state = states.back();
    for (const Persist& work : step) apply(state, work);
    states.push_back(std::move(state));
  }
  return states;
}

/// Writes from step `from` on; returns the first step that failed, or the number of steps.
std::size_t write_from(DataDirectory& directory, const std::vector<std::vector<Persist>>& story,
                       std::size_t from) {
  for (std::size_t step = from; step < story.size(); ++step) {
    if (directory.persist(std::span(story[step]))) return step;
  }
  return story.size();
}

/// Which step to go on from, given what a crash in `step` left.
std::size_t check_old_or_new(const StoredState& found, const std::vector<StoredState>& states,
                             const std::vector<std::vector<Persist>>& story, std::size_t step) {
  if (step == story.size()) {
    CHECK(found == states[step]);
    return step;
  }
  if (found == states[step + 1]) return step + 1;
  const bool has_stages = std::holds_alternative<PersistScenario>(story[step].front().what);
  if (story[step].size() == 1 && !has_stages) {
    CHECK(found == states[step]);
  } else {
    CHECK(is_mixed_by_parts_only(found, states[step], states[step + 1]));
  }
  return step;
}

TEST_CASE("storage: what was persisted is there after a loss of power, and the incarnation grows") {
  SimulatedDisk disk(1);
  const auto story = make_story(1);
  const auto states = states_of(story);
  NodeId node;
  for (std::size_t step = 0; step <= story.size(); ++step) {
    std::unique_ptr<DataDirectory> directory;
    CHECK(reopen(disk, directory) == states[step]);
    CHECK(directory->identity().incarnation == step + 1);
    if (step == 0) node = directory->identity().node;
    CHECK(directory->identity().node == node);
    CHECK(node != NodeId{0});
    if (step < story.size()) CHECK(!directory->persist(std::span(story[step])));
    disk.crash(UnsyncedFate::kLost);
  }
}

TEST_CASE(
    "storage: a crash at any operation leaves the old or the new state, and the story goes on from "
    "there") {
  const auto story = make_story(2);
  const auto states = states_of(story);
  SimulatedDisk calm(2);
  std::unique_ptr<DataDirectory> directory;
  reopen(calm, directory);
  REQUIRE(write_from(*directory, story, 0) == story.size());
  for (std::uint64_t operation = 0; operation <= calm.operations(); ++operation) {
    for (int fate = 0; fate < 6; ++fate) {
      CAPTURE(operation);
      CAPTURE(fate);
      SimulatedDisk disk(1000 * operation + static_cast<std::uint64_t>(fate));
      disk.die_at(operation);
      std::size_t step = 0;
      std::uint64_t incarnation = 0;
      StorageError error;
      if (auto first = open_on(disk, error)) {
        incarnation = first->identity().incarnation;
        step = write_from(*first, story, 0);
      }
      if (fate == 0) {
        disk.kill();
        const StoredState seen = reopen(disk, directory);
        disk.crash(UnsyncedFate::kLost);
        CHECK(reopen(disk, directory) ==
              seen);  // or a restarted node could act on a vote that goes away again
      } else {
        disk.crash(fate == 1   ? UnsyncedFate::kLost
                   : fate == 2 ? UnsyncedFate::kKept
                               : UnsyncedFate::kTorn);
      }
      const StoredState found = reopen(disk, directory);
      CHECK(directory->identity().incarnation > incarnation);
      step = check_old_or_new(found, states, story, step);
      CHECK(write_from(*directory, story, step) == story.size());
      disk.crash(UnsyncedFate::kLost);
      CHECK(reopen(disk, directory) == states.back());
    }
  }
}

TEST_CASE("storage: a crash while recovering from a crash changes nothing more") {
  const auto story = make_story(3);
  const auto states = states_of(story);
  Random random(3);
  for (std::uint64_t round = 0; round < 400; ++round) {
    CAPTURE(round);
    SimulatedDisk disk(round);
    disk.die_at(20 + random.below(150));
    StorageError error;
    auto first = open_on(disk, error);
    REQUIRE(first);
    const std::size_t step = write_from(*first, story, 0);
    for (int crash = 0; crash < 3; ++crash) {
      disk.crash(static_cast<UnsyncedFate>(random.below(3)));
      disk.die_at(disk.operations() + random.below(12));
      open_on(disk, error);
    }
    disk.crash(UnsyncedFate::kTorn);
    std::unique_ptr<DataDirectory> directory;
    check_old_or_new(reopen(disk, directory), states, story, step);
  }
}

TEST_CASE(
    "storage: a full disk is a clear error at any operation, and after it nothing is written until "
    "a restart") {
  const auto story = make_story(4);
  const auto states = states_of(story);
  SimulatedDisk calm(4);
  std::unique_ptr<DataDirectory> directory;
  reopen(calm, directory);
  const std::uint64_t opening = calm.operations();
  REQUIRE(write_from(*directory, story, 0) == story.size());
  for (std::uint64_t operation = 0; operation < calm.operations(); ++operation) {
    CAPTURE(operation);
    SimulatedDisk disk(operation);
    disk.fail_at(operation, ENOSPC, true);
    StorageError error;
    auto first = open_on(disk, error);
    CHECK((first != nullptr) == (operation >= opening));
    std::size_t step = 0;
    if (first) {
      step = write_from(*first, story, 0);
      REQUIRE(step < story.size());
      const std::uint64_t operations = disk.operations();
      error = *first->persist(std::span(story[step]));
      CHECK(disk.operations() == operations);
      CHECK(error.text.find("start it again") != std::string::npos);
    }
    CHECK(error.text.find("No space left on device; free some space") != std::string::npos);
    first.reset();
    disk.kill();
    check_old_or_new(reopen(disk, directory), states, story, step);
  }
}

TEST_CASE(
    "storage: a flipped bit is an error that says where, a warning, or harmless; never a wrong "
    "byte") {
  const auto story = make_story(5);
  const auto states = states_of(story);
  SimulatedDisk disk(5);
  std::unique_ptr<DataDirectory> directory;
  reopen(disk, directory);
  REQUIRE(write_from(*directory, story, 0) == story.size());
  reopen(disk, directory);
  const auto files = disk.mount();
  const std::vector<std::string> paths = paths_on(*files);
  Random random(5);
  int refused = 0;
  int warned = 0;
  for (const std::string& path : paths) {
    const Bytes good = *files->read(path);
    for (std::uint64_t trial = 0; trial < 300; ++trial) {
      const std::uint64_t size_bits = good.size() * 8;
      const std::uint64_t bit = trial < 100
                                    ? random.next() % std::min<std::uint64_t>(size_bits, 2048)
                                    : random.next() % size_bits;
      CAPTURE(path);
      CAPTURE(bit);
      disk.put(path, good);
      REQUIRE(disk.flip_bit(path, bit));
      StorageError error;
      if (const auto opened = open_on(disk, error)) {
        const StoredState found = state_of(opened->take_recovered());
        warned += !opened->warnings().empty();
        CHECK(found.vote == states.back().vote);
        CHECK(found.scenarios == states.back().scenarios);
        for (const auto& [key, cut] : states.back().cuts) {
          if (found.cuts.contains(key) || opened->warnings().empty())
            CHECK(found.cuts.at(key) == cut);
        }
        // The last frame of the journal, here a drop, cannot be told from a write that a crash cut
        // short.
        if (path != "journal") CHECK(found.seals == states.back().seals);
        if (path != "journal") CHECK(found.cuts.size() <= states.back().cuts.size());
      } else {
        ++refused;
        CHECK(error.text.find("disk/") != std::string::npos);
        const bool says = error.text.find("is corrupt") != std::string::npos ||
                          error.text.find("format") != std::string::npos;
        CHECK_MESSAGE(says, error.text);
      }
      disk.put("identity", *files->read("identity"));
    }
    disk.put(path, good);
  }
  CHECK(refused > 100);
  CHECK(warned > 100);
}

TEST_CASE("storage: any file may be cut off, missing or garbage without a crash") {
  const auto story = make_story(6);
  SimulatedDisk disk(6);
  std::unique_ptr<DataDirectory> directory;
  reopen(disk, directory);
  REQUIRE(write_from(*directory, story, 0) == story.size());
  const auto files = disk.mount();
  const std::vector<std::string> paths = paths_on(*files);
  std::map<std::string, Bytes> good;
  for (const std::string& path : paths) good[path] = *files->read(path);
  Random random(6);
  for (std::uint64_t trial = 0; trial < 1000; ++trial) {
    CAPTURE(trial);
    for (const auto& [path, bytes] : good) disk.put(path, bytes);
    const std::string& path = paths[random.below(static_cast<std::uint32_t>(paths.size()))];
    Bytes bytes = good[path];
    const std::uint32_t kind = random.below(4);
    if (kind == 0) bytes.resize(random.next() % bytes.size());
    if (kind == 1) bytes = random_bytes(random, random.below(20000));
    if (kind == 2)
      std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(random.next() % bytes.size()),
                bytes.end(), std::byte{0xFF});
    if (kind == 3) {
      disk.erase(path);
    } else {
      disk.put(path, bytes);
    }
    StorageError error;
    const auto opened = open_on(disk, error);
    CHECK((opened != nullptr || !error.text.empty()));
  }
}

TEST_CASE("storage: a damaged cut is set aside while another whole one remains, and named") {
  SimulatedDisk disk(7);
  std::unique_ptr<DataDirectory> directory;
  reopen(disk, directory);
  StoryTorus torus(7, 300);
  CHECK(!directory->persist(Persist{1, torus.cut({1}, {1}, 10, kBothHalves)}));
  torus.change_some(kRegionCount * 10);  // all of them: the cuts share nothing
  CHECK(!directory->persist(Persist{2, torus.cut({1}, {1}, 20, kBothHalves)}));
  REQUIRE(disk.flip_bit("cuts/2-run1-B-cut20", 8 * 9000));
  StorageError error;
  directory = open_on(disk, error);
  REQUIRE(directory);
  REQUIRE(directory->warnings().size() == 1);
  CHECK(directory->warnings()[0].find(
            "set aside cut 20 of torus B in run 1, going on from cut 10 of torus B") == 0);
  CHECK(directory->take_recovered().cuts.size() == 1);

  SUBCASE("and written again when the cluster gets there once more") {
    CHECK(!directory->persist(Persist{3, torus.cut({1}, {1}, 20, kBothHalves)}));
    CHECK(!directory->persist(Persist{4, DropCuts{{1}, 20}}));
    CHECK(reopen(disk, directory).cuts.size() == 1);
    CHECK(disk.mount()->list("cuts")->size() == 1);
  }
  SUBCASE("but the last one is not given up silently") {
    REQUIRE(disk.flip_bit("cuts/1-run1-B-cut10", 8 * 100));
    CHECK(!open_on(disk, error));
    CHECK(error.text.find(
              "disk/cuts is corrupt: cuts/1-run1-B-cut10 has a header that does not match") == 0);
    CHECK(error.text.find("start the node with an empty --data-dir") != std::string::npos);
  }
}

TEST_CASE("storage: a node that lost its vote, journal or identity is not let in again as itself") {
  for (const std::string path : {"vote", "journal", "identity"}) {
    CAPTURE(path);
    SimulatedDisk disk(8);
    std::unique_ptr<DataDirectory> directory;
    reopen(disk, directory);
    CHECK(!directory->persist(Persist{1, PersistVote{Bytes(10)}}));
    disk.erase(path);
    StorageError error;
    CHECK(!open_on(disk, error));
    CHECK(error.text.find("disk/" + path + " is corrupt: the file is missing") == 0);
  }
}

TEST_CASE("storage: what was sealed while a cut was written is there after a crash at any operation, and the cut whole or not at all") {
  const PersistCut cut = StoryTorus(4, 40'000).cut({1}, {0}, 3, kBothHalves);  // some five pieces
  for (std::uint64_t operation = 0;; ++operation) {
    CAPTURE(operation);
    SimulatedDisk disk(operation);
    std::unique_ptr<DataDirectory> directory;
    reopen(disk, directory);
    disk.die_at(disk.operations() + operation);
    std::uint64_t answered = 0;
    const auto seal = [&]() -> std::optional<StorageError> {
      auto error = directory->persist(Persist{9, PersistSeals{{seal_of({1}, {0}, answered, 5)}}});
      if (!error) ++answered;
      return error;
    };
    const Persist work{1, cut};
    const bool failed = directory->persist(std::span(&work, 1), seal).has_value();
    disk.crash(operation % 2 == 0 ? UnsyncedFate::kLost : UnsyncedFate::kTorn);
    const StoredState found = reopen(disk, directory);
    for (std::uint64_t epoch = 0; epoch < answered; ++epoch) CHECK(found.seals.contains({{1}, {0}, {epoch}}));
    CHECK(found.cuts.size() <= 1);
    if (!found.cuts.empty()) CHECK(found.cuts.begin()->second.size() == kRegionCount);
    if (failed) continue;
    CHECK(found.cuts.size() == 1);
    CHECK(answered > 4);
    return;
  }
}

TEST_CASE("storage: a region that does not match its digest is refused before it is written") {
  SimulatedDisk disk(9);
  std::unique_ptr<DataDirectory> directory;
  reopen(disk, directory);
  PersistCut cut = StoryTorus(9, 300).cut({1}, {0}, 1, kBothHalves);
  auto wrong = std::make_shared<Region>(*cut.regions[5]);
  wrong->bytes[0] ^= std::byte{1};
  cut.regions[5] = wrong;
  const auto error = directory->persist(Persist{1, cut});
  REQUIRE(error);
  CHECK(error->text.find(
            "cannot store region 5 of cut 1 of torus A in run 1: it does not match its digest") ==
        0);
}

TEST_CASE(
    "storage: a vote costs one wait for the disk, many seals one, a cut two, three cuts at once "
    "four") {
  SimulatedDisk disk(10);
  std::unique_ptr<DataDirectory> directory;
  reopen(disk, directory);
  StoryTorus torus(10, 3000);
  const auto syncs_of = [&](const std::vector<Persist>& works) {
    const std::uint64_t before = disk.syncs();
    CHECK(!directory->persist(std::span(works)));
    return disk.syncs() - before;
  };
  const std::uint64_t operations = disk.operations();
  CHECK(syncs_of({Persist{1, PersistVote{Bytes(900)}}}) == 1);
  CHECK(disk.operations() - operations == 2);  // one write, one sync
  std::vector<Persist> seals;
  for (std::uint64_t epoch = 0; epoch < 100; ++epoch)
    seals.push_back(Persist{2, PersistSeals{{seal_of({1}, {0}, epoch, 1)}}});
  CHECK(syncs_of(seals) == 1);
  CHECK(syncs_of({Persist{3, torus.cut({1}, {0}, 1, kBothHalves)}}) == 2);
  torus.change_some(64);
  const std::uint64_t written = disk.bytes_written();
  CHECK(syncs_of({Persist{4, torus.cut({1}, {0}, 2, kBothHalves)}}) == 2);
  CHECK(disk.bytes_written() - written < 64 * 3000 + 8192);
  CHECK(syncs_of({Persist{5, torus.cut({1}, {0}, 3, 1)}, Persist{6, torus.cut({1}, {1}, 3, 1)},
                  Persist{7, torus.cut({1}, {2}, 3, 2)}}) == 4);
}

TEST_CASE(
    "storage: over a thousand cuts the disk holds at most three times what the kept cuts consist "
    "of") {
  for (const std::size_t changes : {2, 20, 64, 500}) {
    CAPTURE(changes);
    SimulatedDisk disk(11);
    std::unique_ptr<DataDirectory> directory;
    reopen(disk, directory);
    std::vector<StoryTorus> tori;
    for (std::size_t i = 0; i < kTorusCount; ++i) tori.emplace_back(i, 4000);
    std::uint64_t live_bytes = 0;
    std::uint64_t changed_bytes = 0;
    const std::uint64_t written_before = disk.bytes_written();
    for (CutNumber cut = 1; cut <= 1000; ++cut) {
      std::vector<Persist> works;
      for (std::uint8_t t = 0; t < kTorusCount; ++t) {
        tori[t].change_some(changes);
        works.push_back(Persist{cut, tori[t].cut({1}, {t}, cut, t == 0 ? kBothHalves : Halves{1})});
        works.push_back(Persist{cut, PersistSeals{{seal_of({1}, {t}, cut, 5)}}});
      }
      REQUIRE(!directory->persist(std::span(works)));
      if (cut > 1) REQUIRE(!directory->persist(Persist{cut, DropCuts{{1}, cut - 1}}));
      live_bytes = 0;
      for (const Persist& work : works) {
        if (const auto* kept = std::get_if<PersistCut>(&work.what)) {
          for (const auto& region : kept->regions) live_bytes += region->bytes.size();
        }
      }
      changed_bytes += std::min<std::uint64_t>(changes, kRegionCount) * 2000 * 2;  // about
      // 1.3 MB for the journal and the vote; the previous cuts are kept too.
      const std::uint64_t journal_bytes = 1'300'000;
      CHECK(disk.bytes_used() < 3 * live_bytes + journal_bytes);
    }
    MESSAGE("changes " << changes << ": used " << disk.bytes_used() / 1024
                       << " KiB, one generation " << live_bytes / 1024 << " KiB, written "
                       << static_cast<double>(disk.bytes_written() - written_before) /
                              static_cast<double>(changed_bytes)
                       << " times the changes");
    reopen(disk, directory);
  }
}

TEST_CASE("storage: the journal stays small, and a second run forgets the seals of the first") {
  SimulatedDisk disk(12);
  std::unique_ptr<DataDirectory> directory;
  reopen(disk, directory);
  for (std::uint64_t epoch = 0; epoch < 20000; ++epoch) {
    REQUIRE(!directory->persist(Persist{epoch, PersistSeals{{seal_of({1}, {0}, epoch, 1)}}}));
    if (epoch % 20 == 19) REQUIRE(!directory->persist(Persist{epoch, DropCuts{{1}, epoch - 10}}));
  }
  CHECK(*disk.mount()->size("journal") < 2'000'000);
  REQUIRE(!directory->persist(Persist{1, PersistSeals{{seal_of({2}, {0}, 3, 9)}}}));
  REQUIRE(!directory->persist(Persist{1, DropCuts{{2}, 0}}));
  const StoredState found = reopen(disk, directory);
  CHECK(found.seals.size() == 1);
}

TEST_CASE("storage: of two seals for one epoch the one of the later view counts") {
  SimulatedDisk disk(13);
  std::unique_ptr<DataDirectory> directory;
  reopen(disk, directory);
  RecoveredSeal late = seal_of({1}, {0}, 5, 222);
  late.view = {9};
  REQUIRE(!directory->persist(Persist{1, PersistSeals{{late, seal_of({1}, {0}, 5, 111)}}}));
  const StoredState found = reopen(disk, directory);
  CHECK(found.seals.at({RunId{1}, TorusId{0}, Epoch{5}}).injections[0].payload == 222);
}

TEST_CASE("storage: the cluster stays known, and a process without it does not invent one") {
  SimulatedDisk disk(14);
  std::unique_ptr<DataDirectory> directory;
  reopen(disk, directory);
  CHECK(!directory->identity().cluster);
  CHECK(!directory->set_cluster({77}));
  disk.crash(UnsyncedFate::kLost);
  reopen(disk, directory);
  CHECK(directory->identity().cluster == ClusterId{77});
}

}  // namespace
}  // namespace rse
