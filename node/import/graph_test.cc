#include <doctest/doctest.h>

#include <set>

#include "node/import/dpkg.h"
#include "node/import/edge_list.h"

namespace rse {
namespace {

/// "from>to:delay", sorted.
std::set<std::string> edges_of(const Graph& graph) {
  std::set<std::string> edges;
  for (const Graph::Edge& edge : graph.edges) {
    edges.insert(graph.names[edge.from] + ">" + graph.names[edge.to] + ":" +
                 std::to_string(edge.delay));
  }
  return edges;
}

std::string stanza(const std::string& name, const std::string& rest,
                   const std::string& status = "install ok installed",
                   const std::string& architecture = "amd64") {
  return "Package: " + name + "\nStatus: " + status + "\nArchitecture: " + architecture + "\n" +
         rest + "\n";
}

std::set<std::string> dpkg_edges(const std::string& text) {
  std::string failure;
  const auto graph = parse_dpkg_status(text, "status", failure);
  REQUIRE_MESSAGE(graph, failure);
  return edges_of(*graph);
}

TEST_CASE("dpkg: an edge leads from a package to what depends on it, slower the larger that is") {
  CHECK(
      dpkg_edges(
          stanza("libc6", "Installed-Size: 13000\n") +
          stanza("bash", "Installed-Size: 7164\nPre-Depends: libc6 (>= 2.36), libtinfo6 (>= 6)\n") +
          stanza("libtinfo6", "Depends: libc6 (>= 2.33)\n") +
          stanza("huge", "Installed-Size: 99999999\nDepends: bash\n")) ==
      std::set<std::string>{"libc6>bash:112", "libtinfo6>bash:112", "libc6>libtinfo6:1",
                            "bash>huge:10000"});
}

TEST_CASE("dpkg: of alternatives every installed one counts, and what is not installed does not") {
  CHECK(dpkg_edges(stanza("a", "Depends: b | c | missing,d\n") + stanza("b", "") + stanza("c", "") +
                   stanza("d", "", "deinstall ok config-files") +
                   stanza("e", "Depends: a\n", "install ok unpacked") +
                   stanza("f", "Depends: a\n", "install ok triggers-pending")) ==
        std::set<std::string>{"b>a:1", "c>a:1", "a>f:1"});
}

TEST_CASE("dpkg: a virtual package stands for its providers, and nobody depends on itself") {
  CHECK(dpkg_edges(stanza("mawk", "Provides: awk\n") +
                   stanza("gawk", "Provides: awk (= 5), other\n") +
                   stanza("base", "Depends: awk\n") +
                   stanza("perl", "Provides: perl-x\nDepends: perl-x\n")) ==
        std::set<std::string>{"mawk>base:1", "gawk>base:1"});
}

TEST_CASE("dpkg: continuation lines, empty fields, text with colons and missing ends are read") {
  CHECK(dpkg_edges("\n\n" +
                   stanza("a",
                          "Description: words: more\n : with a colon\n .\n Depends: "
                          "b\nConffiles:\n /etc/a 0123\n") +
                   "\n\n" + stanza("b", "Depends: a,\n  c\nEmpty:\n") +
                   "Package: c\nStatus: install ok installed\nArchitecture: all\nDepends: b") ==
        std::set<std::string>{"a>b:1", "b>c:1", "c>b:1"});
}

TEST_CASE(
    "dpkg: a foreign architecture depends on its own libraries, and on foreign tools where there "
    "are no others") {
  CHECK(dpkg_edges(stanza("dpkg", "") + stanza("libc6", "") +
                   stanza("libc6", "", "install ok installed", "i386") +
                   stanza("game", "Depends: libc6, tool:any, libc6:amd64\n", "install ok installed",
                          "i386") +
                   stanza("tool", "Depends: libc6\n") +
                   stanza("script", "Depends: libc6\n", "install ok installed", "all")) ==
        std::set<std::string>{"libc6:i386>game:i386:1", "tool>game:i386:1", "libc6>game:i386:1",
                              "libc6>tool:1", "libc6>script:1"});
}

TEST_CASE("dpkg: what is no status file is said, with the line") {
  std::string failure;
  CHECK(!parse_dpkg_status("", "status", failure));
  CHECK(failure == "status: no installed package in it; give the status file of a Debian system");
  CHECK(!parse_dpkg_status("Package: a\nStatus: install ok installed\nwhat is this\n", "status",
                           failure));
  CHECK(failure ==
        "status:3: no field of a package (\"Name: value\"); is this a dpkg status file?");
  CHECK(!parse_dpkg_status(stanza("a", "") + stanza("a", ""), "status", failure));
  CHECK(failure == "status:5: a second package \"a\"; repair the database first");
}

TEST_CASE("dpkg: no text crashes the parser") {
  const std::string good =
      stanza("a", "Depends: b | c (>= 1) , d:any\nProvides: x\n") + stanza("b", "Depends: x\n");
  for (std::size_t cut = 0; cut <= good.size(); ++cut) {
    for (const char put : {'\n', ':', ' ', ',', '|', '\0', '\xFF'}) {
      std::string text = good;
      if (cut < text.size()) text[cut] = put;
      std::string failure;
      parse_dpkg_status(text, "status", failure);
      parse_dpkg_status(std::string_view(good).substr(0, cut), "status", failure);
    }
  }
}

TEST_CASE("edge list: two or three columns a line, comments and empty lines are nothing") {
  std::string failure;
  const auto graph = parse_edge_list("# from to\na\tb\n\nb\tc\t17\r\nc d\ta", "net.tsv", failure);
  REQUIRE(graph);
  CHECK(edges_of(*graph) == std::set<std::string>{"a>b:1", "b>c:17", "c d>a:1"});
}

TEST_CASE("edge list: mistakes are named with their line") {
  const auto failure_of = [](const std::string& text) {
    std::string failure;
    CHECK(!parse_edge_list(text, "net.tsv", failure));
    return failure;
  };
  const std::string next = "; write from<TAB>to or from<TAB>to<TAB>delay";
  CHECK(failure_of("a\tb\nc d\n") == "net.tsv:2: no tab in \"c d\"" + next);
  CHECK(failure_of("a\tb\t0") == "net.tsv:1: delay \"0\" is not 1..4294967295" + next);
  CHECK(failure_of("a\tb\t4294967296") ==
        "net.tsv:1: delay \"4294967296\" is not 1..4294967295" + next);
  CHECK(failure_of("a\tb\t-1") == "net.tsv:1: delay \"-1\" is not 1..4294967295" + next);
  CHECK(failure_of("a\tb\t") == "net.tsv:1: delay \"\" is not 1..4294967295" + next);
  CHECK(failure_of("a\tb\t1\tx") == "net.tsv:1: more than three columns" + next);
  CHECK(failure_of("\tb") == "net.tsv:1: an empty name" + next);
  CHECK(failure_of("# nothing\n") ==
        "net.tsv: no edge in it; write a line from<TAB>to[<TAB>delay] for each");
}

}  // namespace
}  // namespace rse
