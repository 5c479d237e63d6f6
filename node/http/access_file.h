// The dashboard's address with its secret, in a file of mode 0600 in the data directory: who may read the node's data may change
// the node by its page, and nobody else.
// Threads: any. Memory: the text. Errors: sentences.
#pragma once

#include <string>

namespace rse {

inline constexpr const char* kDashboardUrlFile = "/dashboard-url";

/// What the last start had written there, "http://127.0.0.1:7480/#token=...". Empty: `failure` says why.
std::string read_dashboard_url(const std::string& directory, std::string& failure);
/// The secret of the last start, so that open pages keep their right; the file goes, until the page is served again. Empty: there
/// was none, or others could read it, of which `warning` tells.
std::string take_dashboard_token(const std::string& directory, std::string& warning);
/// Empty, or what failed.
std::string write_dashboard_url(const std::string& directory, const std::string& url);

}  // namespace rse
