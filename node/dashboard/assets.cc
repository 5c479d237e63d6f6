#include "node/dashboard/assets.h"

#include <cstddef>

// assets.S
extern "C" {
extern const char dashboard_page_begin[], dashboard_page_end[];
extern const char dashboard_script_begin[], dashboard_script_end[];
extern const char dashboard_style_begin[], dashboard_style_end[];
extern const char dashboard_icon_begin[], dashboard_icon_end[];
}

namespace rse::dashboard {
namespace {

std::string_view between(const char* begin, const char* end) { return {begin, static_cast<std::size_t>(end - begin)}; }

}  // namespace

std::optional<Asset> dashboard_asset(std::string_view path) {
  if (path == "/" || path == "/index.html")
    return Asset{"text/html; charset=utf-8", between(dashboard_page_begin, dashboard_page_end)};
  if (path == "/app.js") return Asset{"text/javascript; charset=utf-8", between(dashboard_script_begin, dashboard_script_end)};
  if (path == "/app.css") return Asset{"text/css; charset=utf-8", between(dashboard_style_begin, dashboard_style_end)};
  if (path == "/favicon.svg") return Asset{"image/svg+xml", between(dashboard_icon_begin, dashboard_icon_end)};
  return std::nullopt;
}

}  // namespace rse::dashboard
