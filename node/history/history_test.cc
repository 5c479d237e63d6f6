#include "node/history/history.h"

#include <doctest/doctest.h>

using namespace rse;

namespace {

std::unique_ptr<HistoryStore> in_memory() {
  std::string warning, failure;
  return HistoryStore::open(":memory:", {}, warning, failure);
}

v1::HistoryRequest newest(std::uint32_t count) {
  v1::HistoryRequest request;
  request.set_incident_count_max(count);
  return request;
}

}  // namespace

TEST_CASE("history: what was noted before a question is in its answer, which comes on the loop") {
  asio::io_context loop;
  History history(loop, in_memory(), {[](v1::StatusReply&) {}, [](const std::string&) {}});
  v1::IncidentRecord incident;
  incident.set_text("B is lost");
  history.note(incident);
  std::string text;
  REQUIRE(history.read(newest(10), [&](const v1::HistoryReply& reply, const std::string& failure) {
    CHECK(failure.empty());
    REQUIRE(reply.incidents_size() == 1);
    text = reply.incidents(0).text();
    history.stop();
  }));
  CHECK(text.empty());
  loop.run();
  CHECK(text == "B is lost");
}

TEST_CASE("history: nobody is called after stop(), and too many questions are refused") {
  asio::io_context loop;
  int answers = 0;
  History history(loop, in_memory(), {[](v1::StatusReply&) {}, [](const std::string&) {}});
  bool refused = false;
  for (int i = 0; i < 100'000 && !refused; ++i)
    refused = !history.read(newest(4096), [&](const v1::HistoryReply&, const std::string&) { ++answers; });
  CHECK(refused);
  history.stop();
  loop.run();
  CHECK(answers == 0);
}

TEST_CASE("history: a sample sums the links, and takes the worst round trip of those that are up") {
  v1::StatusReply status;
  for (const std::uint64_t milliseconds : {2, 9, 5}) {
    v1::LinkStatus& link = *status.add_links();
    link.set_connected(milliseconds != 9);
    link.set_bytes_sent(100);
    link.set_rtt_p50_nanoseconds(milliseconds * 1'000'000);
  }
  status.add_tori()->set_epoch(41);
  const v1::HistorySample sample = sample_of(status, 1000);
  CHECK(sample.unix_seconds() == 1000);
  CHECK(sample.bytes_sent() == 300);
  CHECK(sample.rtt_nanoseconds() == 5'000'000);
  CHECK(sample.tori(0).epoch() == 41);
}
