// The dashboard's files, inside the binary: the page works wherever the node runs, without a network.
// Size: about a megabyte of read-only data. Threads: any. Memory: none. Errors: nullopt.
#pragma once

#include <optional>
#include <string_view>

namespace rse::dashboard {

struct Asset {
  std::string_view content_type;  // "text/html; charset=utf-8"
  std::string_view bytes;         // live as long as the program
};

/// The file that a browser gets for `path`: "/" is the page, the page names the others. nullopt: there is no such file.
/// Files change only with the binary, and their names do not: let the browser ask again each time (no-cache).
std::optional<Asset> dashboard_asset(std::string_view path);

}  // namespace rse::dashboard
