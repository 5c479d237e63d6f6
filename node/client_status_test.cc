#include "node/client_status.h"

#include <doctest/doctest.h>

namespace rse {
namespace {

v1::StatusReply joining() {
  v1::StatusReply status;
  status.set_health(v1::StatusReply::JOINING);
  status.set_verdict("joining: not a member yet");
  status.mutable_self()->set_name("j");
  return status;
}

void add_failure(v1::StatusReply& status, const std::string& text, std::uint64_t by = 0) {
  v1::IncidentRecord& incident = *status.add_incidents();
  incident.set_kind(v1::IncidentRecord::LINK_FAILURE);
  incident.set_text(text);
  incident.set_by(by);
}

bool shows(const v1::StatusReply& status, const std::string& words) {
  return render_status(status, nullptr, 0, {}).find(words) != std::string::npos;
}

TEST_CASE("status: a node that cannot join says what became of each way that it tried, the newest first and only its own") {
  v1::StatusReply status = joining();
  CHECK(shows(status, "no member has been heard on the local network yet; start one there"));
  add_failure(status, "cannot reach a:7400: nothing listens there; start rse-node on that machine or correct the address");
  add_failure(status, "of another node", 7);
  status.add_incidents()->set_kind(v1::IncidentRecord::VIEW_INSTALLED);
  add_failure(status, "cannot reach b:7400: no answer; check that the machine is up");
  const std::vector<std::string> reasons = why_not_joined(status);
  REQUIRE(reasons.size() == 2);
  CHECK(reasons[0].find("b:7400") != std::string::npos);
  CHECK(shows(status, "cannot reach a:7400: nothing listens there"));
  CHECK_FALSE(shows(status, "no member has been heard"));
}

TEST_CASE("status: what failed is no news once there is a link, or the node is a member") {
  v1::StatusReply status = joining();
  add_failure(status, "cannot reach a:7400: no answer");
  status.add_links()->set_connected(true);
  CHECK(why_not_joined(status).empty());
  status.clear_links();
  status.set_health(v1::StatusReply::UNPROTECTED);
  CHECK(why_not_joined(status).empty());
}

TEST_CASE("status: however many ways failed, a few are shown") {
  v1::StatusReply status = joining();
  for (int i = 0; i < 100; ++i) add_failure(status, "cannot reach h" + std::to_string(i));
  CHECK(why_not_joined(status).size() == 4);
}

}  // namespace
}  // namespace rse
