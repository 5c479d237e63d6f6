#include "node/client_top.h"

#include <fmt/format.h>

#include <algorithm>

#include "node/client_history.h"
#include "node/client_status.h"

namespace rse {
namespace {

constexpr std::size_t kPastSeconds = 60;
constexpr const char* kGood = "32;1";
constexpr const char* kBad = "31;1";
constexpr const char* kFaint = "2";
constexpr const char* kTitle = "1";

std::string age_text(std::uint64_t nanoseconds) {
  const double seconds = static_cast<double>(nanoseconds) / 1e9;
  return seconds < 1 ? fmt::format("{:.0f} ms", seconds * 1e3) : fmt::format("{:.1f} s", seconds);
}

/// A difference of two counts, or 0 where a restart or a new run has begun it again.
double rise(std::uint64_t before, std::uint64_t now) { return now >= before ? static_cast<double>(now - before) : 0; }

std::string tori_of(const v1::StatusReply& status, std::uint64_t node) {
  std::string tori;
  for (int torus = 0; torus < status.view().hosts_size(); ++torus)
    if (status.view().hosts(torus) == node) tori += static_cast<char>('A' + torus);
  return tori.empty() ? "-" : tori;
}

}  // namespace

std::string sparkline(const std::deque<double>& values, std::size_t width) {
  static constexpr std::array<const char*, 8> kBars = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  const std::size_t count = std::min(width, values.size());
  const double top = values.empty() ? 0 : *std::max_element(values.end() - static_cast<std::ptrdiff_t>(count), values.end());
  std::string out(width - count, ' ');
  for (std::size_t i = values.size() - count; i < values.size(); ++i)
    out += kBars[top > 0 ? std::min<std::size_t>(static_cast<std::size_t>(values[i] / top * 8), 7) : 0];
  return out;
}

/// Lines cut to the width, pieces of them coloured.
class Top::Screen {
 public:
  explicit Screen(const TopStyle& style) : style_(style) {}

  Screen& put(std::string_view text, const char* code = nullptr) {
    if (left() <= 0) return *this;
    const std::string_view kept = text.substr(0, fitting(text));
    if (code != nullptr && style_.color && !kept.empty()) out_ += fmt::format("\x1b[{}m{}\x1b[0m", code, kept);
    else out_ += kept;
    return *this;
  }
  void end_line() {
    if (left() <= 0) return;
    out_ += '\n';
    column_ = 0;
    ++line_;
  }
  void title(std::string_view text) {
    end_line();
    put(text, kTitle).end_line();
  }
  int left() const { return style_.rows - line_; }
  int columns() const { return style_.columns; }
  std::string take() { return std::move(out_); }

 private:
  /// Bytes of `text` that fit the line; a character is a column.
  std::size_t fitting(std::string_view text) {
    std::size_t i = 0;
    for (; i < text.size(); ++i) {
      const bool starts = (static_cast<unsigned char>(text[i]) & 0xC0) != 0x80;
      if (starts && column_ == style_.columns) break;
      if (starts) ++column_;
    }
    return i;
  }

  const TopStyle& style_;
  std::string out_;
  int column_ = 0;
  int line_ = 0;
};

const v1::StatusReply* Top::status_of(std::uint64_t node) const {
  for (const v1::StatusReply& status : nodes_)
    if (status.self().node() == node) return &status;
  return nullptr;
}

void Top::take(std::vector<v1::StatusReply> nodes, double now_seconds) {
  const std::uint64_t through = nodes_.empty() ? 0 : seen().self().node();
  const std::vector<v1::StatusReply> before = std::exchange(nodes_, std::move(nodes));
  const double seconds = now_seconds - std::exchange(at_, now_seconds);
  seen_ = 0;
  for (std::size_t i = 0; i < nodes_.size(); ++i)
    if (nodes_[i].self().node() == through) seen_ = i;
  if (before.empty() || seconds <= 0) return;
  for (const v1::StatusReply& old : before)
    if (old.self().node() == seen().self().node()) take_rates(seen(), old, seconds);
  take_loads(seconds, before);
}

void Top::take_rates(const v1::StatusReply& now, const v1::StatusReply& before, double seconds) {
  for (std::size_t torus = 0; torus < kTorusCount; ++torus) {
    const int i = static_cast<int>(torus);
    if (now.tori_size() <= i || before.tori_size() <= i) return;
    TorusRates& rates = rates_[torus];
    rates.events = rise(before.tori(i).events(), now.tori(i).events()) / seconds;
    rates.epochs = rise(before.tori(i).epoch(), now.tori(i).epoch()) / seconds;
    rates.past.push_back(rates.events);
    if (rates.past.size() > kPastSeconds) rates.past.pop_front();
  }
  bytes_.clear();
  for (const v1::LinkStatus& link : now.links())
    for (const v1::LinkStatus& old : before.links())
      if (old.peer() == link.peer())
        bytes_[link.peer()] += (rise(old.bytes_sent(), link.bytes_sent()) + rise(old.bytes_received(), link.bytes_received())) / seconds;
}

void Top::take_loads(double seconds, const std::vector<v1::StatusReply>& before) {
  loads_.clear();
  for (const v1::StatusReply& old : before)
    if (const v1::StatusReply* now = status_of(old.self().node()))
      loads_[old.self().node()] = rise(old.self().cpu_nanoseconds(), now->self().cpu_nanoseconds()) / 1e9 / seconds;
}

std::string Top::render(const TopStyle& style) const {
  Screen screen(style);
  draw_head(screen);
  draw_tori(screen);
  draw_nodes(screen);
  draw_incidents(screen);
  return screen.take();
}

void Top::draw_head(Screen& screen) const {
  const bool healthy = seen().health() == v1::StatusReply::HEALTHY;
  screen.put(seen().verdict(), healthy ? kGood : kBad).end_line();
  screen.put(fmt::format("cluster {:016x}  view {}  run {}  seen by {}  q quits", seen().view().cluster(), seen().view().number(),
                         seen().view().run(), seen().self().name()), kFaint);
  screen.end_line();
}

/// Of a torus that its host puts together, how much of it is there; of the others' hosts only they know.
std::string Top::state_word(const v1::TorusStatus& torus) const {
  if (torus.running()) return "running";
  const v1::StatusReply* host = status_of(torus.host());
  const int index = static_cast<int>(torus.torus());
  const auto share = rebuilt_share(host != nullptr && index < host->tori_size() ? host->tori(index) : torus);
  return share ? fmt::format("{:.0f} %", *share * 100) : "stopped";
}

void Top::draw_tori(Screen& screen) const {
  screen.title(fmt::format("{:<6} {:<12} {:>10} {:>8} {:>10} {:>9} {:>10}  {:<8} {}", "TORI", "HOST", "EPOCH", "EPOCHS/s", "EVENTS/s", "PENDING",
                           "CUT", "STATE", "EVENTS/s, LAST MINUTE"));
  for (const v1::TorusStatus& torus : seen().tori()) {
    if (screen.left() <= 0 || torus.torus() >= kTorusCount) return;
    const TorusRates& rates = rates_[torus.torus()];
    screen.put(fmt::format("{:<6} {:<12} {:>10} {:>8.1f} {:>10} {:>9} {:>10}  ", static_cast<char>('A' + torus.torus()),
                           node_name(seen(), torus.host()), torus.epoch(), rates.epochs, short_number(rates.events), torus.pending(),
                           torus.cut_durable()));
    screen.put(fmt::format("{:<8}", state_word(torus)), torus.running() ? kGood : kBad).put(" ");
    screen.put(sparkline(rates.past, kPastSeconds / 2)).end_line();
  }
}

void Top::draw_nodes(Screen& screen) const {
  screen.title(fmt::format("{:<12} {:<10} {:<5} {:>10} {:>6} {:>9} {:>9} {:>9}  {}", "NODES", "STATE", "TORI", "LAST HEARD", "LOAD", "MEMORY",
                           "RTT p50", "BYTES/s", "LINK"));
  draw_node(screen, seen().self().node(), nullptr);
  for (const v1::PeerStatus& peer : seen().peers())
    if (peer.node() != seen().self().node() && screen.left() > 0) draw_node(screen, peer.node(), &peer);
}

void Top::draw_node(Screen& screen, std::uint64_t node, const v1::PeerStatus* peer) const {
  const v1::StatusReply* own = status_of(node);
  const auto load = loads_.find(node);
  const auto bytes = bytes_.find(node);
  const v1::LinkStatus* link = nullptr;
  for (const v1::LinkStatus& one : seen().links())
    if (one.peer() == node && (link == nullptr || one.connected())) link = &one;
  const char* const state = peer == nullptr ? "this node" : peer->suspected() ? "suspected" : !peer->member() ? "gone" : peer->linked() ? "member" : "silent";
  const bool well = peer == nullptr || (peer->member() && !peer->suspected());
  screen.put(fmt::format("{:<12} ", node_name(seen(), node)));
  screen.put(fmt::format("{:<10} ", state), well ? nullptr : kBad);
  screen.put(fmt::format("{:<5} {:>10} {:>6} {:>9} {:>9} {:>9}  {}", tori_of(seen(), node), peer == nullptr ? "-" : age_text(peer->silence_nanoseconds()),
                         load == loads_.end() ? "-" : fmt::format("{:.0f} %", load->second * 100),
                         own == nullptr ? "-" : fmt::format("{:.0f} MB", static_cast<double>(own->self().resident_bytes()) / 1e6),
                         link == nullptr || link->rtt_p50_nanoseconds() == 0 ? "-" : fmt::format("{:.2f} ms", static_cast<double>(link->rtt_p50_nanoseconds()) / 1e6),
                         bytes == bytes_.end() ? "-" : short_number(bytes->second),
                         link != nullptr && link->connected() ? link_text(*link) : peer == nullptr ? "" : "no link"));
  screen.end_line();
}

void Top::draw_incidents(Screen& screen) const {
  if (screen.left() < 3) return;
  screen.title("INCIDENTS");
  std::vector<v1::HistoryReply> histories;
  NodeNames names;
  for (const v1::StatusReply& status : nodes_) {
    v1::HistoryReply& history = histories.emplace_back();
    history.set_node(status.self().node());
    *history.mutable_incidents() = status.incidents();
    for (const v1::PeerStatus& peer : status.peers())
      if (!peer.name().empty()) names[peer.node()] = peer.name();
    names[status.self().node()] = status.self().name();
  }
  const std::vector<PastLine> lines = past_lines(put_together(histories), names);
  const auto fits = static_cast<std::size_t>(std::max(screen.left(), 0));
  for (std::size_t i = lines.size() > fits ? lines.size() - fits : 0; i < lines.size(); ++i) {
    screen.put(utc_text(lines[i].unix_nanoseconds).substr(11), kFaint).put("  ");
    screen.put(lines[i].text, lines[i].death ? kBad : nullptr).end_line();
  }
}

std::string Top::line() const {
  std::string out = seen().verdict();
  for (const v1::TorusStatus& torus : seen().tori()) {
    if (torus.torus() >= kTorusCount) continue;
    out += fmt::format("; {} on {}: epoch {}, {} events/s{}", static_cast<char>('A' + torus.torus()), node_name(seen(), torus.host()), torus.epoch(),
                       short_number(rates_[torus.torus()].events), torus.running() ? "" : ", not running");
  }
  return out;
}

}  // namespace rse
