#include "node/client_status.h"

#include <fmt/format.h>

#include <algorithm>

#include "node/control_client.h"

namespace rse {
namespace {

constexpr int kWideColumns = 100;
constexpr std::size_t kReasonsMax = 4;
constexpr double kAlmost = 0.99;  // all is replayed, but not yet compared and published

const char* health_word(v1::StatusReply::Health health) {
  switch (health) {
    case v1::StatusReply::HEALTHY: return "healthy";
    case v1::StatusReply::UNPROTECTED: return "degraded";
    case v1::StatusReply::REBUILDING: return "rebuilding";
    case v1::StatusReply::STOPPED: return "stopped";
    case v1::StatusReply::JOINING: return "joining";
    default: return "unknown";
  }
}

std::string painted(const std::string& text, const char* code, bool color) {
  return color ? fmt::format("\x1b[{}m{}\x1b[0m", code, text) : text;
}

std::string age_text(std::uint64_t nanoseconds) { return seconds_text(nanoseconds) + " ago"; }

const v1::LinkStatus* link_to(const v1::StatusReply& status, std::uint64_t node) {
  for (const v1::LinkStatus& link : status.links())
    if (link.peer() == node) return &link;
  return nullptr;
}

std::string tori_of(const v1::StatusReply& status, std::uint64_t node) {
  std::string tori;
  for (int torus = 0; torus < status.view().hosts_size(); ++torus)
    if (status.view().hosts(torus) == node) tori += static_cast<char>('A' + torus);
  return tori.empty() ? "-" : tori;
}

double share(std::uint64_t done, std::uint64_t all) { return all == 0 ? 0.0 : static_cast<double>(done) / static_cast<double>(all); }

/// It once knocked, and was not let in or has been forgotten.
bool is_stranger(const v1::StatusReply& status, std::uint64_t node) {
  const auto& admitted = status.view().admitted();
  return !admitted.empty() && std::find(admitted.begin(), admitted.end(), node) == admitted.end();
}

const v1::ViewMember* member_of(const v1::StatusReply& status, std::uint64_t node) {
  const auto& members = status.view().members();
  const auto found = std::find_if(members.begin(), members.end(), [&](const v1::ViewMember& m) { return m.node() == node; });
  return found == members.end() ? nullptr : &*found;
}

const char* member_word(const v1::ViewMember& member) { return member.observer() ? "observer" : "member"; }

/// The others' addresses are in `rse status --json`.
std::string listens_text(const v1::NodeInfo& self) {
  if (self.addresses_size() == 0) return {};
  const int more = self.addresses_size() - 1;
  return "listens on " + self.addresses(0) + (more == 0 ? "" : fmt::format(" and {} more", more));
}

void render_nodes(const v1::StatusReply& status, bool color, std::string& out) {
  out += fmt::format("{:<12} {:<10} {:<5} {:<12} {}\n", "NODE", "STATE", "TORI", "LAST HEARD", "LINK");
  const v1::NodeInfo& self = status.self();
  const v1::ViewMember* own = member_of(status, self.node());
  out += fmt::format("{:<12} {:<10} {:<5} {:<12} {}\n", self.name(), own != nullptr ? member_word(*own) : "joining",
                     tori_of(status, self.node()), "this node",
                     listens_text(self));
  for (const v1::PeerStatus& peer : status.peers()) {
    if (peer.node() == self.node() || (!peer.linked() && is_stranger(status, peer.node()))) continue;
    const v1::ViewMember* member = member_of(status, peer.node());
    const char* state = peer.suspected()                      ? "suspected"
                        : !peer.member() || member == nullptr ? "gone"
                        : peer.linked() || peer.via() != 0    ? member_word(*member)
                                                              : "silent";
    const v1::LinkStatus* link = link_to(status, peer.node());
    std::string how = link != nullptr && link->connected() ? link_text(*link) : "no link";
    if (peer.via() != 0) how = "by way of " + node_name(status, peer.via());
    const bool well = peer.member() && !peer.suspected();
    const std::string name = peer.name().empty() ? node_name(status, peer.node()) : peer.name();
    out += painted(fmt::format("{:<12} {:<10} {:<5} {:<12} {}", name, state, tori_of(status, peer.node()),
                               age_text(peer.silence_nanoseconds()), how),
                   well ? "0" : "31", color) + "\n";
  }
}

std::string rtt_text(const v1::LinkStatus& link) {
  if (link.rtt_p50_nanoseconds() == 0) return "-";
  return fmt::format("{:.2f}/{:.2f} ms", static_cast<double>(link.rtt_p50_nanoseconds()) / 1e6,
                     static_cast<double>(link.rtt_p99_nanoseconds()) / 1e6);
}

std::string loss_text(const v1::LinkStatus& link) {
  if (link.packets_sent() == 0) return "-";
  return fmt::format("{:.2f} %", 100.0 * static_cast<double>(link.packets_lost()) / static_cast<double>(link.packets_sent()));
}

const char* use_word(v1::LinkStatus::Use use) {
  switch (use) {
    case v1::LinkStatus::SPARE: return "spare";
    case v1::LinkStatus::SILENT: return "silent";
    case v1::LinkStatus::SLOW: return "slow";
    default: return "yes";
  }
}

/// A row a link: of a peer that is linked in several ways, the one in use comes first.
void render_links(const v1::StatusReply& status, std::string& out) {
  const auto up = [](const v1::LinkStatus& link) { return link.connected(); };
  if (std::none_of(status.links().begin(), status.links().end(), up)) return;
  out += fmt::format("\n{:<12} {:<8} {:<6} {:<18} {:>10} {:>15} {:>8} {:>9} {:>9}\n", "LINK TO", "BY", "USED", "CIPHER", "HEARD",
                     "RTT P50/P99", "LOSS", "SENT", "RECEIVED");
  for (const v1::LinkStatus& link : status.links()) {
    if (!link.connected()) continue;
    const std::string cipher = !link.cipher().empty() ? link.cipher() : link.transport() == "ivshmem" ? "this machine" : "none";
    out += fmt::format("{:<12} {:<8} {:<6} {:<18} {:>10} {:>15} {:>8} {:>9} {:>9}\n", node_name(status, link.peer()),
                       link.transport(), use_word(link.use()), cipher, age_text(link.silence_nanoseconds()), rtt_text(link),
                       loss_text(link), short_number(static_cast<double>(link.bytes_sent())) + "B",
                       short_number(static_cast<double>(link.bytes_received())) + "B");
  }
}

/// "stopped", or, from its host, "rebuilding 43 %: 60 of 129 regions, 2 of 10 epochs".
std::string rebuilding_text(const v1::TorusStatus& torus) {
  const auto share = rebuilt_share(torus);
  if (!share) return "stopped";
  return fmt::format("rebuilding {:.0f} %: {} of {} regions, {} of {} epochs", *share * 100, torus.regions_restored(), torus.regions_to_restore(),
                     torus.epochs_replayed(), torus.epochs_to_replay());
}

/// A narrow screen does without ticks, refusals and cuts.
void render_tori(const v1::StatusReply& status, const v1::StatusReply* before, double seconds, const StatusStyle& style,
                 std::string& out) {
  const bool wide = style.columns >= kWideColumns;
  out += fmt::format("{:<5} {:<12} {:>9} ", "TORUS", "HOST", "EPOCH");
  if (wide) out += fmt::format("{:>12} ", "TICK");
  out += fmt::format("{:>9} {:>8} ", before != nullptr ? "EVENTS/S" : "EVENTS", "PENDING");
  if (wide) out += fmt::format("{:>8} {:>8} ", "REFUSED", "CUT");
  out += fmt::format(" {:<16}  {}\n", "DIGEST", "HEALTH");
  for (int i = 0; i < status.tori_size(); ++i) {
    const v1::TorusStatus& torus = status.tori(i);
    std::string events = short_number(static_cast<double>(torus.events()));
    if (before != nullptr && before->tori_size() > i && seconds > 0) {
      const std::uint64_t old = before->tori(i).events();
      events = short_number(static_cast<double>(torus.events() > old ? torus.events() - old : 0) / seconds);
    }
    const std::string host = torus.host() == 0 ? "-" : node_name(status, torus.host());
    out += fmt::format("{:<5} {:<12} {:>9} ", static_cast<char>('A' + i), host, torus.epoch());
    if (wide) out += fmt::format("{:>12} ", torus.end_tick());
    out += fmt::format("{:>9} {:>8} ", events, short_number(static_cast<double>(torus.pending())));
    if (wide) out += fmt::format("{:>8} {:>8} ", torus.refused(), torus.cut_durable());
    out += fmt::format(" {:016x}  {}\n", torus.event_digest(),
                       torus.running() ? painted("running", "32", style.color) : painted(rebuilding_text(torus), "31", style.color));
  }
}

}  // namespace

std::string seconds_text(std::uint64_t nanoseconds) {
  const double seconds = static_cast<double>(nanoseconds) / 1e9;
  if (seconds < 1) return fmt::format("{:.0f} ms", seconds * 1e3);
  return fmt::format("{:.1f} s", seconds);
}

std::vector<std::string> why_not_joined(const v1::StatusReply& status) {
  const auto up = [](const v1::LinkStatus& link) { return link.connected(); };
  if (status.health() != v1::StatusReply::JOINING || std::any_of(status.links().begin(), status.links().end(), up)) return {};
  std::vector<std::string> reasons;
  for (int i = status.incidents_size(); i-- > 0 && reasons.size() < kReasonsMax;) {
    const v1::IncidentRecord& incident = status.incidents(i);
    if (incident.kind() == v1::IncidentRecord::LINK_FAILURE && incident.by() == 0) reasons.push_back(incident.text());
  }
  if (reasons.empty())
    reasons.emplace_back("no member has been heard on the local network yet; start one there, or give the address of one (--peer)");
  return reasons;
}

std::string link_text(const v1::LinkStatus& link) {
  const bool says_it = link.address().starts_with(link.transport() + ":");
  std::string text = says_it ? link.address() : link.transport() + " " + link.address();
  if (link.transport() == "ivshmem") return text;
  return text + (link.cipher().empty() ? ", not encrypted" : ", " + link.cipher());
}

std::string short_number(double value) {
  if (value < 10'000) return fmt::format("{:.0f}", value);
  if (value < 1e6) return fmt::format("{:.1f} k", value / 1e3);
  if (value < 1e9) return fmt::format("{:.1f} M", value / 1e6);
  return fmt::format("{:.2f} G", value / 1e9);
}

std::string node_name(const v1::StatusReply& status, std::uint64_t node) {
  if (node == status.self().node()) return status.self().name();
  for (const v1::ViewMember& member : status.view().members())
    if (member.node() == node && !member.name().empty()) return member.name();
  for (const v1::PeerStatus& peer : status.peers())
    if (peer.node() == node && !peer.name().empty()) return peer.name();
  return fmt::format("{:016x}", node);
}

std::optional<double> rebuilt_share(const v1::TorusStatus& torus) {
  if (torus.running()) return 1;
  if (!torus.hosted_here()) return std::nullopt;
  const double done = (share(torus.regions_restored(), torus.regions_to_restore()) + share(torus.epochs_replayed(), torus.epochs_to_replay())) / 2;
  return std::min(done, kAlmost);
}

int host_count(const v1::StatusReply& status) {
  const auto& members = status.view().members();
  return static_cast<int>(std::count_if(members.begin(), members.end(), [](const v1::ViewMember& m) { return !m.observer(); }));
}

int exit_code_of(const v1::StatusReply& status) {
  return status.health() == v1::StatusReply::HEALTHY ? kExitDone : kExitDegraded;
}

std::string render_status(const v1::StatusReply& status, const v1::StatusReply* before, double seconds,
                          const StatusStyle& style) {
  std::string verdict = status.verdict();
  if (verdict.empty()) verdict = health_word(status.health());
  const bool healthy = status.health() == v1::StatusReply::HEALTHY;
  std::string out = painted(verdict, healthy ? "32;1" : "31;1", style.color) + "\n";
  out += fmt::format("cluster {:016x}  view {}  run {}  seen by {}", status.view().cluster(), status.view().number(),
                     status.view().run(), status.self().name());
  out += (status.self().encrypted() ? "" : "  " + painted("not encrypted (--insecure)", "31;1", style.color)) + "\n";
  for (const std::string& why : why_not_joined(status)) out += "  " + why + "\n";
  out += "\n";
  render_nodes(status, style.color, out);
  if (style.columns >= kWideColumns) render_links(status, out);
  out += "\n";
  render_tori(status, before, seconds, style, out);
  return out;
}

}  // namespace rse
