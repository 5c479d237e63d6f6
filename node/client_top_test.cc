#include "node/client_top.h"

#include <doctest/doctest.h>

#include <algorithm>

using namespace rse;

namespace {

v1::StatusReply status(std::uint64_t node, const std::string& name, std::uint64_t epoch) {
  v1::StatusReply out;
  out.set_verdict("healthy: 3 of 3 nodes; any one may fail");
  out.mutable_self()->set_node(node);
  out.mutable_self()->set_name(name);
  out.mutable_self()->set_resident_bytes(150'000'000);
  out.mutable_self()->set_cpu_nanoseconds(epoch * 10'000'000);
  for (std::uint32_t torus = 0; torus < kTorusCount; ++torus) {
    out.mutable_view()->add_hosts(torus + 1);
    v1::TorusStatus& to = *out.add_tori();
    to.set_torus(torus);
    to.set_host(torus + 1);
    to.set_epoch(epoch);
    to.set_events(epoch * 1000);
    to.set_running(true);
  }
  for (std::uint64_t peer = 1; peer <= 3; ++peer) {
    if (peer == node) continue;
    v1::PeerStatus& to = *out.add_peers();
    to.set_node(peer);
    to.set_name(std::string(1, static_cast<char>('a' + peer - 1)));
    to.set_member(true);
    to.set_linked(true);
  }
  return out;
}

std::size_t widest(const std::string& screen) {
  std::size_t width = 0;
  std::size_t widest = 0;
  for (const char c : screen) {
    if (c == '\n') width = 0;
    else if ((static_cast<unsigned char>(c) & 0xC0) != 0x80) widest = std::max(widest, ++width);
  }
  return widest;
}

bool shows(const std::string& screen, const std::string& words) { return screen.find(words) != std::string::npos; }

}  // namespace

TEST_CASE("top: rates come from two looks, and the node that was seen through goes on to be") {
  Top top;
  top.take({status(1, "a", 100), status(2, "b", 100)}, 10);
  top.take({status(2, "b", 50), status(1, "a", 140)}, 12);
  const std::string screen = top.render({.color = false, .columns = 140, .rows = 40});
  CHECK_MESSAGE(shows(screen, "seen by a"), screen);
  CHECK_MESSAGE(shows(screen, "A      a                   140     20.0     20.0 k"), screen);
  CHECK_MESSAGE(shows(screen, "20 %    150 MB"), screen);
  CHECK_MESSAGE(shows(top.line(), "; B on b: epoch 140, 20.0 k events/s"), top.line());
  top.take({status(2, "b", 60)}, 13);
  CHECK(shows(top.render({}), "seen by b"));
}

TEST_CASE("top: the screen fits the terminal, whatever its size, and has colours only when asked") {
  Top top;
  v1::StatusReply full = status(1, "a", 100);
  for (int i = 0; i < 50; ++i) {
    v1::IncidentRecord& incident = *full.add_incidents();
    incident.set_kind(v1::IncidentRecord::VIEW_INSTALLED);
    incident.set_unix_nanoseconds(1'700'000'000'000'000'000 + static_cast<std::uint64_t>(i));
    incident.set_text("view " + std::to_string(i));
  }
  top.take({full}, 1);
  top.take({full}, 2);
  for (const int columns : {1, 20, 80, 200}) {
    for (const int rows : {1, 5, 12, 24, 60}) {
      CAPTURE(columns);
      CAPTURE(rows);
      const std::string screen = top.render({.color = false, .columns = columns, .rows = rows});
      CHECK(widest(screen) <= static_cast<std::size_t>(columns));
      CHECK(std::count(screen.begin(), screen.end(), '\n') <= rows);
      CHECK(!shows(screen, "\x1b"));
    }
  }
  CHECK(shows(top.render({.color = false, .columns = 80, .rows = 24}), "view 49"));
  CHECK(shows(top.render({.color = true}), "\x1b[32;1mhealthy"));
}

TEST_CASE("top: a death is one line among the incidents") {
  Top top;
  v1::StatusReply a = status(1, "a", 100);
  const auto add = [&](v1::IncidentRecord::Kind kind, std::uint64_t node, std::uint64_t milliseconds, const std::string& text) {
    v1::IncidentRecord& incident = *a.add_incidents();
    incident.set_kind(kind);
    incident.set_node(node);
    incident.set_unix_nanoseconds(1'700'000'000'000'000'000 + milliseconds * 1'000'000);
    incident.set_text(text);
    if (kind == v1::IncidentRecord::REBUILD_STARTED || kind == v1::IncidentRecord::FIRST_EPOCH) incident.set_torus(1);
  };
  add(v1::IncidentRecord::PEER_LOST, 2, 0, "b has died");
  add(v1::IncidentRecord::REBUILD_STARTED, 1, 10, "torus B is put together here");
  add(v1::IncidentRecord::FIRST_EPOCH, 1, 84, "torus B has run its first epoch here");
  top.take({a}, 1);
  const std::string screen = top.render({});
  CHECK_MESSAGE(shows(screen, "b died: torus B grew back on a in 84 ms"), screen);
  CHECK(!shows(screen, "first epoch"));
}

TEST_CASE("top: a sparkline is as wide as asked, with the newest at the right") {
  CHECK(sparkline({}, 4) == "    ");
  CHECK(sparkline({0, 0}, 3) == " ▁▁");
  CHECK(sparkline({5, 1, 8}, 2) == "▂█");
}
