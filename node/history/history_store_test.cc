#include "node/history/history_store.h"

#include <doctest/doctest.h>
#include <sqlite3.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <vector>

using namespace rse;

namespace {

std::unique_ptr<HistoryStore> in_memory(HistoryStore::Limits limits = {}) {
  std::string warning, failure;
  auto store = HistoryStore::open(":memory:", limits, warning, failure);
  REQUIRE_MESSAGE(store != nullptr, failure);
  return store;
}

v1::IncidentRecord incident(std::uint64_t at, const std::string& text) {
  v1::IncidentRecord record;
  record.set_kind(v1::IncidentRecord::PEER_LOST);
  record.set_at_nanoseconds(at);
  record.set_unix_nanoseconds(1'700'000'000'000'000'000 + at);
  record.set_node(std::numeric_limits<std::uint64_t>::max() - 1);
  record.set_epoch(7);
  record.set_text(text);
  return record;
}

v1::HistorySample sample(std::uint64_t second) {
  v1::HistorySample out;
  out.set_unix_seconds(second);
  out.set_health(v1::StatusReply::UNPROTECTED);
  for (std::uint64_t torus = 0; torus < 3; ++torus) {
    v1::HistorySample::Torus& to = *out.add_tori();
    to.set_epoch(second * 10 + torus);
    to.set_events(std::numeric_limits<std::uint64_t>::max() - torus);
    to.set_hosted_here(torus == 1);
  }
  return out;
}

v1::HistoryReply read(HistoryStore& store, std::uint32_t incidents, std::uint32_t samples, std::uint64_t before = 0,
                      std::uint64_t from = 0) {
  v1::HistoryRequest request;
  request.set_incident_count_max(incidents);
  request.set_sample_count_max(samples);
  request.set_before_number(before);
  request.set_from_unix_seconds(from);
  v1::HistoryReply reply;
  REQUIRE(store.read(request, reply) == "");
  return reply;
}

}  // namespace

TEST_CASE("history: incidents come back in their order, numbered, whole, page by page") {
  const auto store = in_memory();
  v1::IncidentRecord with_torus = incident(3, "c");
  with_torus.set_torus(2);
  const std::vector<v1::IncidentRecord> written{incident(1, "a"), incident(2, "it's \"quoted\"; DROP TABLE incident"), with_torus};
  REQUIRE(store->add(written, {}) == "");
  const v1::HistoryReply newest = read(*store, 2, 0);
  REQUIRE(newest.incidents_size() == 2);
  CHECK(newest.incidents(0).text() == written[1].text());
  CHECK(newest.incidents(0).node() == written[1].node());
  CHECK(!newest.incidents(0).has_torus());
  CHECK(newest.incidents(1).torus() == 2);
  CHECK(newest.incidents(1).number() == 3);
  const v1::HistoryReply older = read(*store, 10, 0, newest.incidents(0).number());
  REQUIRE(older.incidents_size() == 1);
  CHECK(older.incidents(0).text() == "a");
}

TEST_CASE("history: a file of before other nodes' incidents were kept is read as it is, and goes on with who told them") {
  const std::filesystem::path folder = std::filesystem::path(std::getenv("TEST_TMPDIR")) / "earlier";
  std::filesystem::create_directories(folder);
  const std::string path = folder / "history.db";
  sqlite3* earlier = nullptr;
  REQUIRE(::sqlite3_open(path.c_str(), &earlier) == SQLITE_OK);
  const char* const made = "CREATE TABLE incident (number INTEGER PRIMARY KEY AUTOINCREMENT, kind INTEGER NOT NULL, at INTEGER NOT NULL, "
                           "unix INTEGER NOT NULL, node INTEGER NOT NULL, torus INTEGER, epoch INTEGER NOT NULL, text TEXT NOT NULL);"
                           "CREATE TABLE owner (only INTEGER PRIMARY KEY, node INTEGER NOT NULL, name TEXT NOT NULL);"
                           "INSERT INTO incident VALUES (1, 2, 1, 1, 1, NULL, 7, 'old')";
  CHECK(::sqlite3_exec(earlier, made, nullptr, nullptr, nullptr) == SQLITE_OK);
  ::sqlite3_close(earlier);
  std::string warning, failure;
  {
    const auto reader = HistoryStore::open_to_read(path, failure);
    REQUIRE_MESSAGE(reader != nullptr, failure);
    CHECK(read(*reader, 10, 0).incidents(0).text() == "old");
  }
  const auto store = HistoryStore::open(path, {}, warning, failure);
  REQUIRE_MESSAGE(store != nullptr, failure);
  v1::IncidentRecord told = incident(2, "new");
  told.set_by(std::numeric_limits<std::uint64_t>::max());
  REQUIRE(store->add(std::vector{told}, {}) == "");
  const v1::HistoryReply all = read(*store, 10, 0);
  REQUIRE(all.incidents_size() == 2);
  CHECK(all.incidents(0).by() == 0);
  CHECK(all.incidents(1).by() == told.by());
}

TEST_CASE("history: a second has one sample, and 64 bits survive") {
  const auto store = in_memory();
  REQUIRE(store->add({}, std::vector{sample(100), sample(101), sample(101), sample(102)}) == "");
  const v1::HistoryReply all = read(*store, 0, 10);
  REQUIRE(all.samples_size() == 3);
  CHECK(all.samples(1).SerializeAsString() == sample(101).SerializeAsString());
  CHECK(read(*store, 0, 1).samples(0).unix_seconds() == 102);
  CHECK(read(*store, 0, 1, 0, 101).samples(0).unix_seconds() == 101);
}

TEST_CASE("history: the oldest go when there are too many, and long texts are cut") {
  const auto store = in_memory({.incidents = 10, .samples = 5});
  for (std::uint64_t i = 1; i <= 100; ++i)
    REQUIRE(store->add(std::vector{incident(i, std::string(2000, 'x'))}, std::vector{sample(i)}) == "");
  const v1::HistoryReply all = read(*store, 1000, 1000);
  CHECK(all.incidents_size() == 10);
  CHECK(all.incidents(0).at_nanoseconds() == 91);
  CHECK(all.incidents(0).text().size() == kHistoryTextBytesMax);
  CHECK(all.samples_size() == 5);
  CHECK(all.samples(0).unix_seconds() == 96);
}

TEST_CASE("history: a damaged file is put aside, a new one begun, and somebody else may read it meanwhile") {
  const std::filesystem::path folder = std::filesystem::path(std::getenv("TEST_TMPDIR")) / "history";
  std::filesystem::create_directories(folder);
  const std::string path = folder / "history.db";
  std::ofstream(path) << std::string(10'000, '?');
  std::string warning, failure;
  {
    const auto store = HistoryStore::open(path, {}, warning, failure);
    REQUIRE_MESSAGE(store != nullptr, failure);
    CHECK(warning.find(path + ".damaged") != std::string::npos);
    CHECK(std::filesystem::file_size(path + ".damaged") == 10'000);
    REQUIRE(store->set_owner(5, "b") == "");
    REQUIRE(store->add(std::vector{incident(1, "a")}, {}) == "");
    const auto reader = HistoryStore::open_to_read(path, failure);
    REQUIRE_MESSAGE(reader != nullptr, failure);
    CHECK(read(*reader, 10, 0).incidents_size() == 1);
    CHECK(read(*reader, 10, 0).name() == "b");
    CHECK(reader->add(std::vector{incident(2, "b")}, {}).find("cannot write") == 0);
    CHECK(read(*reader, 10, 0).incidents_size() == 1);
    REQUIRE(store->add(std::vector{incident(2, "b")}, {}) == "");
    CHECK(read(*reader, 10, 0).incidents_size() == 2);  // what failed has left no transaction open
  }
  warning.clear();
  const auto store = HistoryStore::open(path, {}, warning, failure);
  REQUIRE(store != nullptr);
  CHECK(warning.empty());
  CHECK(read(*store, 10, 0).incidents_size() == 2);
  CHECK(HistoryStore::open_to_read(folder / "none.db", failure) == nullptr);
}
