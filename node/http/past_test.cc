#include "node/http/past.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>

#include "node/history/history_store.h"

using namespace rse;

namespace {

constexpr std::uint64_t kNow = 1'700'000'000;

/// A data directory with nothing but a history.
class Directory {
 public:
  explicit Directory(std::uint64_t node) {
    REQUIRE(::mkdtemp(path_.data()) != nullptr);
    std::string warning;
    std::string failure;
    store_ = HistoryStore::open(path_ + kHistoryFile, {}, warning, failure);
    REQUIRE_MESSAGE(store_, failure);
    REQUIRE(store_->set_owner(node, "b") == "");
  }
  ~Directory() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

  void sample(std::uint64_t seconds_ago, std::uint64_t events) {
    v1::HistorySample sample;
    sample.set_unix_seconds(kNow - seconds_ago);
    sample.set_rtt_nanoseconds(250'000);
    for (int torus = 0; torus < 3; ++torus) {
      sample.add_tori()->set_events(events * static_cast<std::uint64_t>(torus + 1));
      sample.mutable_tori(torus)->set_epoch(events / 10);
    }
    REQUIRE(store_->add({}, {&sample, 1}) == "");
  }
  void incident(const char* text) {
    v1::IncidentRecord record;
    record.set_text(text);
    REQUIRE(store_->add({&record, 1}, {}) == "");
  }

 private:
  std::string path_ = std::string(std::getenv("TEST_TMPDIR") != nullptr ? std::getenv("TEST_TMPDIR") : "/tmp") + "/past-XXXXXX";
  std::unique_ptr<HistoryStore> store_;
};

std::size_t count(const std::string& text, const std::string& word) {
  std::size_t found = 0;
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++found;
  return found;
}

/// The values of the list that begins after `before`.
std::string list_after(const std::string& json, const std::string& before) {
  const std::size_t at = json.find(before);
  return at == std::string::npos ? "" : json.substr(at + before.size(), json.find(']', at) - at - before.size());
}

}  // namespace

TEST_CASE("past: rates are differences of what was kept, a second each over ten minutes") {
  Directory directory(7);
  for (std::uint64_t ago : {3, 2, 1, 0}) directory.sample(ago, 1000 - 100 * ago);
  const std::string json = past_series_json({directory.path()}, std::chrono::minutes(10), kNow);
  CHECK(count(json, "17000000") == 1);  // steps begin in the past and end now
  const std::string a = list_after(json, "\"events\":[[");
  CHECK(count(a, ",") == kPastPoints - 1);
  CHECK_MESSAGE(a.ends_with(",null,100,100,100"), a);
  CHECK(list_after(json, "\"epochs\":[[").ends_with(",null,10,10,10"));
  CHECK(list_after(json, "\"rtt_milliseconds\":[").ends_with(",null,0.25,0.25,0.25,0.25"));
}

TEST_CASE("past: neither a gap nor another run makes a rate") {
  Directory directory(7);
  directory.sample(20, 0);
  directory.sample(10, 5000);  // who knows what was between
  directory.sample(9, 100);    // began again
  directory.sample(8, 150);
  const std::string a = list_after(past_series_json({directory.path()}, std::chrono::minutes(10), kNow), "\"events\":[[");
  CHECK(count(a, "null") == kPastPoints - 1);
  CHECK(count(a, "50") == 1);
}

TEST_CASE("past: a day has as many points as ten minutes, and each second counts once, whoever kept it") {
  Directory first(7);
  Directory second(8);
  for (std::uint64_t ago = 5000; ago-- > 0;) {
    if (ago >= 1000) first.sample(ago, 10 * (5000 - ago));
    second.sample(ago, 30 * (5000 - ago));
  }
  const std::string json = past_series_json({first.path(), second.path()}, std::chrono::hours(24), kNow);
  const std::string a = list_after(json, "\"events\":[[");
  CHECK(count(a, ",") == kPastPoints - 1);
  CHECK(a.ends_with(",30,30,30,30"));
  CHECK(count(a, ",10") >= 4000 / 144 - 1);
  CHECK(count(a, ",20") == 0);
  CHECK(json.size() < 64 * 1024);
}

TEST_CASE("past: incidents of every node that has kept some; what is no history is left out") {
  Directory first(7);
  Directory second(8);
  first.incident("one");
  for (std::uint32_t i = 0; i < kPastIncidentsMax + 5; ++i) second.incident(fmt::format("two {}", i).c_str());
  const std::string json = past_incidents_json({first.path(), "/no/such", second.path()});
  CHECK(count(json, "\"name\":\"b\"") == 2);
  CHECK(count(json, "\"text\":\"one\"") == 1);
  CHECK(count(json, "\"text\":\"two") == kPastIncidentsMax);
  CHECK(count(json, fmt::format("\"two {}\"", kPastIncidentsMax + 4)) == 1);
  CHECK(past_incidents_json({}) == "{\"histories\":[]}\n");
}
