#include "node/http/metrics_text.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

using namespace rse;

namespace {

constexpr const char* kGolden = "node/http/metrics_golden.txt";

/// Of two nodes, b having died: a, which runs torus A, and c, which runs C and puts B together.
v1::StatusReply status_of(std::uint64_t node, const char* name, std::uint64_t peer, const char* peer_name) {
  v1::StatusReply status;
  status.set_health(v1::StatusReply::REBUILDING);
  status.set_messages_refused(3);
  status.mutable_view()->set_number(9);
  v1::NodeInfo& self = *status.mutable_self();
  self.set_node(node);
  self.set_name(name);
  self.set_version("1.2.3");
  self.set_uptime_nanoseconds(90'000'000'000);
  self.set_resident_bytes(200'000'000);
  self.set_cpu_nanoseconds(1'500'000'000);
  for (std::uint32_t torus = 0; torus < 3; ++torus) {
    v1::TorusStatus& to = *status.add_tori();
    to.set_torus(torus);
    to.set_epoch(1000 + torus);
    to.set_end_tick(1'001'000);
    to.set_events(5'000'000'000 + torus);
    to.set_pending(44);
    to.set_refused(torus);
    to.set_processes(32'768);
    to.set_cut_durable(990);
    to.set_hosted_here((node == 12) == (torus != 0));
    to.set_running(torus != 1);
  }
  v1::PeerStatus& other = *status.add_peers();
  other.set_node(peer);
  other.set_name(peer_name);
  other.set_linked(true);
  other.set_silence_nanoseconds(2'000'000);
  v1::LinkStatus& link = *status.add_links();
  link.set_peer(peer);
  link.set_transport("tcp");
  link.set_connected(true);
  link.set_bytes_sent(1000);
  link.set_bytes_received(2000);
  link.set_rtt_p50_nanoseconds(250'000);
  return status;
}

std::vector<v1::StatusReply> while_b_is_rebuilt() {
  std::vector<v1::StatusReply> statuses = {status_of(10, "a", 12, "c"), status_of(12, "c", 10, "a\"\\\nb")};
  statuses[1].set_cut_age_nanoseconds(350'000'000);
  v1::TorusStatus& rebuilt = *statuses[1].mutable_tori(1);
  rebuilt.set_regions_restored(129);
  rebuilt.set_regions_to_restore(129);
  rebuilt.set_epochs_replayed(5);
  rebuilt.set_epochs_to_replay(10);
  return statuses;
}

std::string golden() {
  std::ostringstream text;
  text << std::ifstream(kGolden).rdbuf();
  return text.str();
}

}  // namespace

TEST_CASE("metrics: names, types and labels stay as they are; a rename would break every dashboard that reads them") {
  CHECK(metrics_text(while_b_is_rebuilt()) == golden());
}

TEST_CASE("metrics: promtool finds nothing to say about them") {
  if (std::system("command -v promtool >/dev/null") != 0) {
    MESSAGE("promtool is not here (package prometheus): the metrics were not checked");
    return;
  }
  CHECK(std::system((std::string("promtool check metrics <") + kGolden).c_str()) == 0);
}

TEST_CASE("metrics: a rebuilding is whole only when its torus runs, and only its host knows how far it is") {
  std::vector<v1::StatusReply> statuses = while_b_is_rebuilt();
  const auto ratio = [&] {
    const std::string text = metrics_text(statuses);
    const std::string name = "rse_reconstruction_progress_ratio{torus=\"B\"} ";
    const std::size_t at = text.find("\n" + name);
    return at == std::string::npos ? std::string("absent") : text.substr(at + 1 + name.size(), text.find('\n', at + 1) - at - 1 - name.size());
  };
  CHECK(ratio() == "0.75");
  statuses[1].mutable_tori(1)->set_epochs_replayed(10);
  CHECK(ratio() == "0.99");
  statuses[0].mutable_tori(1)->set_running(true);  // what a has heard is older than what the host says
  CHECK(ratio() == "0.99");
  std::swap(statuses[0], statuses[1]);  // whoever is asked first
  CHECK(ratio() == "0.99");
  std::swap(statuses[0], statuses[1]);
  statuses[1].mutable_tori(1)->set_running(true);
  CHECK(ratio() == "1");
  statuses.pop_back();
  statuses[0].mutable_tori(1)->set_running(false);
  CHECK(ratio() == "absent");
}
