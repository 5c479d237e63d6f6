#include "node/dashboard/assets.h"

#include <doctest/doctest.h>

#include <string>

namespace rse::dashboard {

TEST_CASE("dashboard: the page names only files that are inside the binary") {
  const auto page = dashboard_asset("/");
  REQUIRE(page);
  CHECK(page->content_type == "text/html; charset=utf-8");
  for (const std::string_view attribute : {"href=\"", "src=\""}) {
    for (std::size_t at = page->bytes.find(attribute); at != std::string_view::npos; at = page->bytes.find(attribute, at + 1)) {
      const std::size_t begin = at + attribute.size();
      const std::string path(page->bytes.substr(begin, page->bytes.find('"', begin) - begin));
      CAPTURE(path);
      if (path != "/metrics") CHECK(dashboard_asset(path));
    }
  }
}

TEST_CASE("dashboard: what the files load comes from the node itself") {
  for (const std::string_view path : {"/", "/app.js", "/app.css"}) {
    CAPTURE(path);
    const auto asset = dashboard_asset(path);
    REQUIRE(asset);
    for (const std::string_view foreign : {"src=\"http", "href=\"http", "url(http", "url(//", "@import"})
      CHECK(asset->bytes.find(foreign) == std::string_view::npos);
  }
}

TEST_CASE("dashboard: any other path has no file") {
  for (const std::string_view path : {"", "/app.js/", "/../app.js", "app.js", "/node_modules"}) CHECK(!dashboard_asset(path));
}

}  // namespace rse::dashboard
