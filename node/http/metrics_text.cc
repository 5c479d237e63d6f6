#include "node/http/metrics_text.h"

#include <fmt/format.h>

#include <functional>
#include <optional>

#include "node/client_status.h"
#include "torus/base/strong.h"

namespace rse {
namespace {

/// A label's value, with what the format gives a meaning escaped.
std::string label(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}

class Text {
 public:
  void family(const char* name, const char* type, const char* help) {
    name_ = name;
    out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
  }
  template <class Number>
  void sample(const std::string& labels, Number value) {
    out += fmt::format("{}{{{}}} {}\n", name_, labels, value);
  }
  std::string out;

 private:
  const char* name_ = "";
};

using Statuses = std::vector<v1::StatusReply>;

void nodes(const Statuses& statuses, Text& text) {
  const auto each = [&](const char* name, const char* type, const char* help, const std::function<double(const v1::StatusReply&)>& value) {
    text.family(name, type, help);
    for (const v1::StatusReply& status : statuses)
      text.sample(fmt::format("node=\"{}\"", label(status.self().name())), value(status));
  };
  text.family("rse_build_info", "gauge", "Version of each node.");
  for (const v1::StatusReply& status : statuses)
    text.sample(fmt::format("node=\"{}\",version=\"{}\"", label(status.self().name()), label(status.self().version())), 1);
  each("rse_healthy", "gauge", "Whether any one node may fail now.",
       [](const v1::StatusReply& status) { return status.health() == v1::StatusReply::HEALTHY ? 1.0 : 0.0; });
  each("rse_view", "gauge", "Number of the view that the node has installed.",
       [](const v1::StatusReply& status) { return static_cast<double>(status.view().number()); });
  each("rse_uptime_seconds", "gauge", "Since the node started.",
       [](const v1::StatusReply& status) { return static_cast<double>(status.self().uptime_nanoseconds()) / 1e9; });
  each("rse_resident_bytes", "gauge", "Memory that the node occupies.",
       [](const v1::StatusReply& status) { return static_cast<double>(status.self().resident_bytes()); });
  each("rse_cpu_seconds_total", "counter", "Processor time that the node has used.",
       [](const v1::StatusReply& status) { return static_cast<double>(status.self().cpu_nanoseconds()) / 1e9; });
  each("rse_messages_refused_total", "counter", "Messages that were wrong or hostile.",
       [](const v1::StatusReply& status) { return static_cast<double>(status.messages_refused()); });
}

void tori(const v1::StatusReply& status, Text& text) {
  const auto each = [&](const char* name, const char* type, const char* help, const std::function<std::uint64_t(const v1::TorusStatus&)>& value) {
    text.family(name, type, help);
    for (const v1::TorusStatus& torus : status.tori())
      text.sample(fmt::format("torus=\"{}\"", static_cast<char>('A' + torus.torus())), value(torus));
  };
  each("rse_torus_running", "gauge", "Whether the torus runs, as its host says.", [](const v1::TorusStatus& t) { return t.running() ? 1u : 0u; });
  each("rse_torus_epoch", "gauge", "Last epoch whose projection is known.", [](const v1::TorusStatus& t) { return t.epoch(); });
  each("rse_torus_tick", "gauge", "End of that epoch.", [](const v1::TorusStatus& t) { return t.end_tick(); });
  each("rse_torus_events_total", "counter", "Events processed.", [](const v1::TorusStatus& t) { return t.events(); });
  each("rse_torus_refused_total", "counter", "Events, edges and processes for which there was no room.", [](const v1::TorusStatus& t) { return t.refused(); });
  each("rse_torus_pending_events", "gauge", "Events that wait in the torus.", [](const v1::TorusStatus& t) { return t.pending(); });
  each("rse_torus_processes", "gauge", "Processes that live in the torus.", [](const v1::TorusStatus& t) { return t.processes(); });
  each("rse_torus_cut_epoch", "gauge", "Newest cut that is durable.", [](const v1::TorusStatus& t) { return t.cut_durable(); });
}

/// What depends on who is asked: how old the newest cut is, and how far a rebuilding is, which its host alone knows.
void protection(const Statuses& statuses, Text& text) {
  text.family("rse_checkpoint_age_seconds", "gauge", "Since the newest durable cut; without any since the node started, absent.");
  for (const v1::StatusReply& status : statuses) {
    if (!status.has_cut_age_nanoseconds()) continue;
    text.sample(fmt::format("node=\"{}\"", label(status.self().name())), static_cast<double>(status.cut_age_nanoseconds()) / 1e9);
  }
  text.family("rse_reconstruction_progress_ratio", "gauge", "How far the rebuilding of the torus is; 1 when it runs.");
  for (std::uint32_t torus = 0; torus < kTorusCount; ++torus) {
    std::optional<double> done;
    bool host_said = false;
    for (const v1::StatusReply& status : statuses) {
      for (const v1::TorusStatus& seen : status.tori()) {
        if (seen.torus() != torus || host_said) continue;
        host_said = seen.hosted_here();
        if (const auto share = rebuilt_share(seen)) done = share;
      }
    }
    if (done) text.sample(fmt::format("torus=\"{}\"", static_cast<char>('A' + torus)), *done);
  }
}

void peers(const Statuses& statuses, Text& text) {
  const auto pair_labels = [](const v1::StatusReply& status, std::uint64_t peer) {
    return fmt::format("node=\"{}\",peer=\"{}\"", label(status.self().name()), label(node_name(status, peer)));
  };
  text.family("rse_peer_up", "gauge", "Whether the node hears the peer.");
  for (const v1::StatusReply& status : statuses)
    for (const v1::PeerStatus& peer : status.peers())
      if (peer.node() != status.self().node()) text.sample(pair_labels(status, peer.node()), peer.linked() && !peer.suspected() ? 1 : 0);
  text.family("rse_peer_silence_seconds", "gauge", "Age of the peer's last proof of life.");
  for (const v1::StatusReply& status : statuses)
    for (const v1::PeerStatus& peer : status.peers())
      if (peer.node() != status.self().node()) text.sample(pair_labels(status, peer.node()), static_cast<double>(peer.silence_nanoseconds()) / 1e9);
  text.family("rse_peer_rtt_seconds", "gauge", "Median round trip of the link in use over the last minute.");
  for (const v1::StatusReply& status : statuses)
    for (const v1::LinkStatus& link : status.links())
      if (link.connected() && link.rtt_p50_nanoseconds() > 0)
        text.sample(fmt::format("{},transport=\"{}\"", pair_labels(status, link.peer()), label(link.transport())),
                    static_cast<double>(link.rtt_p50_nanoseconds()) / 1e9);
  text.family("rse_transport_bytes_total", "counter", "Bytes over links, by transport and direction.");
  for (const v1::StatusReply& status : statuses) {
    for (const v1::LinkStatus& link : status.links()) {
      const std::string labels = fmt::format("{},transport=\"{}\"", pair_labels(status, link.peer()), label(link.transport()));
      text.sample(labels + ",direction=\"sent\"", link.bytes_sent());
      text.sample(labels + ",direction=\"received\"", link.bytes_received());
    }
  }
}

}  // namespace

std::string metrics_text(const Statuses& statuses) {
  Text text;
  nodes(statuses, text);
  if (!statuses.empty()) tori(statuses.front(), text);
  protection(statuses, text);
  peers(statuses, text);
  return text.out;
}

}  // namespace rse
