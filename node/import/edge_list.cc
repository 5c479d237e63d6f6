#include "node/import/edge_list.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace rse {

namespace {
/// Empty, or what is wrong with the line.
std::string add_edge(GraphBuilder& builder, std::string_view line) {
  std::array<std::string_view, 3> columns{};
  std::size_t count = 0;
  for (std::string_view rest = line;; ++count) {
    if (count == columns.size()) return "more than three columns";
    const std::size_t tab = rest.find('\t');
    columns[count] = rest.substr(0, tab);
    if (tab == std::string_view::npos) break;
    rest.remove_prefix(tab + 1);
  }
  if (count == 0) return "no tab in \"" + std::string(line.substr(0, 80)) + "\"";
  if (columns[0].empty() || columns[1].empty()) return "an empty name";
  std::uint32_t delay = 1;
  if (count == 2) {
    const std::string_view text = columns[2];
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), delay);
    if (error != std::errc{} || end != text.data() + text.size() || delay == 0) {
      return "delay \"" + std::string(text.substr(0, 80)) + "\" is not 1..4294967295";
    }
  }
  const std::uint32_t from = builder.node(columns[0]);
  builder.edge(from, builder.node(columns[1]), delay);
  return {};
}
}  // namespace

std::optional<Graph> parse_edge_list(std::string_view text, const std::string& file,
                                     std::string& failure) {
  GraphBuilder builder;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.front() == '#') continue;
    if (const std::string wrong = add_edge(builder, line); !wrong.empty()) {
      failure = file + ":" + std::to_string(number) + ": " + wrong +
                "; write from<TAB>to or from<TAB>to<TAB>delay";
      return std::nullopt;
    }
  }
  if (builder.size() == 0) {
    failure = file + ": no edge in it; write a line from<TAB>to[<TAB>delay] for each";
    return std::nullopt;
  }
  return builder.take();
}

}  // namespace rse
