#include "tests/bench/engine_plot.h"

#include <cmath>
#include <cstdarg>
#include <cstdio>

namespace rse {
namespace {

constexpr double kLeft = 60, kTop = 20, kWidth = 560, kHeight = 300;
constexpr double kNanosecondsMin = 1, kNanosecondsMax = 1000, kPendingMax = 1e7;

double x_of(double pending) { return kLeft + kWidth * std::log10(pending) / std::log10(kPendingMax); }
double y_of(double nanoseconds) {
  return kTop + kHeight * std::log10(kNanosecondsMax / nanoseconds) / std::log10(kNanosecondsMax / kNanosecondsMin);
}

[[gnu::format(printf, 2, 3)]] void append(std::string& out, const char* format, ...) {
  char line[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(line, sizeof(line), format, arguments);
  va_end(arguments);
  out += line;
}

void draw_axes(std::string& out) {
  static constexpr const char* kCounts[] = {"1", "10", "100", "1 k", "10 k", "100 k", "1 M", "10 M"};
  double pending = 1;
  for (const char* label : kCounts) {
    append(out, "<path class='grid' d='M%.1f %.1fv%.1f'/><text x='%.1f' y='%.1f' text-anchor='middle'>%s</text>\n",
           x_of(pending), kTop, kHeight, x_of(pending), kTop + kHeight + 16, label);
    pending *= 10;
  }
  for (double nanoseconds = kNanosecondsMin; nanoseconds <= kNanosecondsMax; nanoseconds *= 10) {
    append(out, "<path class='grid' d='M%.1f %.1fh%.1f'/><text x='%.1f' y='%.1f' text-anchor='end'>%g ns</text>\n",
           kLeft, y_of(nanoseconds), kWidth, kLeft - 6, y_of(nanoseconds) + 4, nanoseconds);
  }
  append(out, "<text x='%.1f' y='%.1f' text-anchor='middle'>pending events</text>\n", kLeft + kWidth / 2,
         kTop + kHeight + 34);
}

void draw_line(std::string& out, const std::vector<Row>& rows, const std::string& model, const char* colour, bool heap) {
  std::string path;
  for (const Row& row : rows) {
    if (row.series != "pending" || row.model != model || (heap && !row.base)) continue;
    const double rate = heap ? row.base->median() : row.engine.median();
    append(path, "%s%.1f %.1f", path.empty() ? "M" : "L", x_of(row.pending), y_of(1e9 / rate));
  }
  append(out, "<path fill='none' stroke='%s' stroke-width='2'%s d='", colour, heap ? " stroke-dasharray='5 4'" : "");
  out += path + "'/>\n";
}

}  // namespace

std::string plot_cost(const std::vector<Row>& rows) {
  std::string out =
      "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 640 370' font-family='sans-serif' font-size='12'>\n"
      "<title>Nanoseconds an event of the engine (solid) and of a binary heap (dashed) against pending events</title>\n"
      "<style>.grid{stroke:#ccc;fill:none}text{fill:#444}</style><rect width='640' height='370' fill='#fff'/>\n";
  draw_axes(out);
  static constexpr const char* kColours[] = {"#0072b2", "#d55e00", "#009e73"};
  double y = kTop + 16;
  for (std::size_t i = 0; i < std::size(kModels); ++i) {
    const std::string model = to_string(kModels[i]);
    draw_line(out, rows, model, kColours[i], false);
    draw_line(out, rows, model, kColours[i], true);
    append(out, "<text x='%.1f' y='%.1f' style='fill:%s'>%s: engine solid, binary heap dashed</text>\n", kLeft + 10, y,
           kColours[i], model.c_str());
    y += 16;
  }
  return out + "</svg>\n";
}

}  // namespace rse
