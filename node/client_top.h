// What `rse top` shows: the tori, the nodes and their links, and what has happened, as they are now and with their rates.
// Threads: one. Memory: the last statuses and a minute of rates. Errors: none; nothing here reads or writes a terminal.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "node/history/story.h"
#include "proto/rse/v1/control.pb.h"
#include "torus/base/strong.h"

namespace rse {

struct TopStyle {
  bool color = false;
  int columns = 100;
  int rows = 40;
};

class Top {
 public:
  /// Statuses of all nodes that have answered, at least one, and when by any clock that only goes forward. The node that was seen
  /// through goes on to be, as long as it answers.
  void take(std::vector<v1::StatusReply> nodes, double now_seconds);
  /// A whole screen: `style.rows` lines at most, none wider than `style.columns`.
  std::string render(const TopStyle& style) const;
  /// One line, for a pipe.
  std::string line() const;

 private:
  struct TorusRates {
    double events = 0;
    double epochs = 0;
    std::deque<double> past;  // events a second
  };
  const v1::StatusReply& seen() const { return nodes_[seen_]; }
  const v1::StatusReply* status_of(std::uint64_t node) const;
  void take_rates(const v1::StatusReply& now, const v1::StatusReply& before, double seconds);
  void take_loads(double seconds, const std::vector<v1::StatusReply>& before);
  class Screen;
  void draw_head(Screen& screen) const;
  void draw_tori(Screen& screen) const;
  std::string state_word(const v1::TorusStatus& torus) const;
  void draw_nodes(Screen& screen) const;
  void draw_node(Screen& screen, std::uint64_t node, const v1::PeerStatus* peer) const;
  void draw_incidents(Screen& screen) const;

  std::vector<v1::StatusReply> nodes_;
  std::size_t seen_ = 0;
  double at_ = 0;
  std::array<TorusRates, kTorusCount> rates_;
  std::map<std::uint64_t, double> loads_;  // of one core, by node
  std::map<std::uint64_t, double> bytes_;  // sent and received a second, by peer of the node seen through
};

/// "▁▃█": the newest at the right, each as tall as its share of the largest.
std::string sparkline(const std::deque<double>& values, std::size_t width);

}  // namespace rse
