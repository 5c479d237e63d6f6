// A network of named things, read from somewhere, on its way to becoming a scenario.
// Threads, errors: none. Memory: names and edges. Invariant: edges name nodes that are there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace rse {

struct Graph {
  struct Edge {
    std::uint32_t from;  // index into names
    std::uint32_t to;
    std::uint32_t delay;  // ticks, at least 1
  };
  std::vector<std::string> names;
  std::vector<Edge> edges;
};

/// Gives names their numbers, in the order in which they appear.
class GraphBuilder {
 public:
  std::uint32_t node(std::string_view name) {
    const auto [at, is_new] =
        numbers_.try_emplace(std::string(name), static_cast<std::uint32_t>(graph_.names.size()));
    if (is_new) graph_.names.push_back(at->first);
    return at->second;
  }
  void edge(std::uint32_t from, std::uint32_t to, std::uint32_t delay) {
    graph_.edges.push_back({from, to, delay});
  }
  std::size_t size() const { return graph_.names.size(); }
  Graph take() { return std::move(graph_); }

 private:
  Graph graph_;
  std::map<std::string, std::uint32_t, std::less<>> numbers_;
};

}  // namespace rse
