// The HTTP of a real node: what it answers, what it refuses, and that clients who mean no good are a matter of the server alone.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "tests/e2e/http_connection.h"
#include "tests/e2e/process.h"
#include "tests/e2e/stories.h"

namespace rse {
namespace {

constexpr const char* kToken = "0123456789abcdef";

struct OneNode {
  int port = free_port();
  LocalCluster cluster{{.nodes = {{.name = "solo"}},
                        .flags = {"--http", fmt::format("127.0.0.1:{}", port), "--http-token", kToken, "--http-allow-host",
                                  "rse.example.org"}}};

  std::string ask(const std::string& first_line, const std::string& more = {}, const std::string& body = {}) const {
    return http_ask(port, first_line, more, body);
  }
};

bool begins(const std::string& text, const std::string& words) { return text.rfind(words, 0) == 0; }
bool holds(const std::string& text, const std::string& words) { return text.find(words) != std::string::npos; }

TEST_CASE("http: page, health, state and metrics; changes need the token; strangers and nonsense get a sentence and the node runs on") {
  OneNode node;
  REQUIRE_MESSAGE(node.cluster.start() == "", log_tails(node.cluster));
  ControlFailure failure;
  std::uint64_t run = 0;
  REQUIRE_MESSAGE(load_scenario(node.cluster.controls(), encode_scenario(busy_scenario()), kStoryLimit, run, failure), failure.text);
  std::string state;  // the server looks at the node once a second, and has seen it start
  const auto end = std::chrono::steady_clock::now() + kStoryLimit;
  while (!holds(state, "UNPROTECTED") && std::chrono::steady_clock::now() < end) state = node.ask("GET /api/v1/state");

  SUBCASE("reading") {
    const std::string page = node.ask("GET /");
    CHECK(begins(page, "HTTP/1.1 200 OK\r\n"));
    CHECK(holds(page, "\r\nContent-Type: text/html"));
    CHECK(holds(page, "\r\nContent-Security-Policy: default-src 'self';"));
    CHECK_MESSAGE(holds(state, "{\"nodes\":[{\"health\":\"UNPROTECTED\",\"verdict\":\""), state);
    CHECK(holds(node.ask("GET /healthz"), "unprotected"));
    CHECK(http_body(node.ask("HEAD /")) == "");
    CHECK(begins(node.ask("GET /no/such"), "HTTP/1.1 404"));
    CHECK(begins(node.ask("DELETE /"), "HTTP/1.1 405"));
    CHECK(holds(node.ask("GET /api/v1/incidents"), "\"histories\":[{\"node\":\""));
    CHECK(holds(node.ask("GET /api/v1/incidents"), "\"kind\":\"RUN_STARTED\""));
    CHECK(holds(node.ask("GET /api/v1/series?span=600"), "{\"step_seconds\":1,\"seconds\":["));
    CHECK(begins(node.ask("GET /api/v1/series?span=601"), "HTTP/1.1 400"));
    const HttpConnection allowed(node.port);
    allowed.send("GET /healthz HTTP/1.1\r\nHost: rse.example.org\r\nConnection: close\r\n\r\n");
    CHECK(begins(allowed.read(), "HTTP/1.1 200"));
    const HttpConnection stream(node.port);
    stream.send("GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n");
    CHECK(holds(stream.read("\"self\""), "event: state\ndata: {\"nodes\":["));
  }

  SUBCASE("metrics, as promtool wants them") {
    const std::string metrics = http_body(node.ask("GET /metrics"));
    CHECK_MESSAGE(holds(metrics, "rse_torus_events_total{torus=\"A\"} "), metrics);
    const TemporaryFolder folder;
    write_file(folder.path("metrics"), metrics);
    const Finished checked = run_program({"/bin/sh", "-c", "command -v promtool >/dev/null || exit 77; promtool check metrics <" + folder.path("metrics")});
    if (checked.exit_code == 77) MESSAGE("promtool is not here (package prometheus): the metrics were not checked");
    else CHECK_MESSAGE(checked.exit_code == 0, checked.output);
  }

  SUBCASE("changing") {
    const std::string injection = R"({"torus":0,"dst":7,"payload":1})";
    CHECK(begins(node.ask("POST /api/v1/inject", {}, injection), "HTTP/1.1 403"));
    CHECK(begins(node.ask("POST /api/v1/inject", "Authorization: Bearer 0123456789abcdeX\r\n", injection), "HTTP/1.1 403"));
    const std::string authorization = fmt::format("Authorization: Bearer {}\r\n", kToken);
    CHECK(begins(node.ask("POST /api/v1/inject", authorization, "{\"torus\":"), "HTTP/1.1 400"));
    const std::string accepted = node.ask("POST /api/v1/inject", authorization, injection);
    CHECK_MESSAGE(holds(accepted, "\"status\":\"ACCEPTED\""), accepted);
    CHECK(begins(node.ask("POST /api/v1/kill?node=solo", authorization), "HTTP/1.1 404"));  // no launcher here
  }

  SUBCASE("hostile") {
    const HttpConnection foreign(node.port);
    foreign.send("GET / HTTP/1.1\r\nHost: evil.example:7480\r\n\r\n");
    CHECK(holds(foreign.read("localhost:"), "is not served under the name \"evil.example:7480\""));
    for (const std::string& bytes :
         {std::string("\0\1\2\3\r\n\r\n", 8), std::string(20'000, 'x'),
          std::string("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n")}) {
      const HttpConnection connection(node.port);
      connection.send(bytes);
      CHECK(connection.read() == "");  // closed without a word
    }
    CHECK(begins(node.ask("POST /api/v1/inject", {}, std::string(5'000, 'x')), "HTTP/1.1 413"));
    // Many who say nothing, and one who asks for much and reads none of it.
    std::vector<std::unique_ptr<HttpConnection>> silent;
    for (int i = 0; i < 100; ++i) silent.push_back(std::make_unique<HttpConnection>(node.port));
    const HttpConnection greedy(node.port);
    for (int i = 0; i < 2000; ++i) greedy.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    CHECK(begins(node.ask("GET /healthz"), "HTTP/1.1 200"));
    CHECK(run_on(node.cluster, 20));
  }
  CHECK(node.cluster.terminate(0) == 0);
}

TEST_CASE("http: a node makes its own token, which its owner finds and which a restart keeps") {
  const int port = free_port();
  LocalCluster cluster{{.nodes = {{.name = "solo"}}, .flags = {"--http", fmt::format("127.0.0.1:{}", port)}}};
  REQUIRE_MESSAGE(cluster.start() == "", log_tails(cluster));
  const auto url = [&] { return run_program({find_binary("rse"), "dashboard", "--control", cluster.running_controls().front()}).output; };
  const std::string first = url();
  REQUIRE_MESSAGE(begins(first, fmt::format("http://127.0.0.1:{}/#token=", port)), first);
  const std::string authorization = fmt::format("Authorization: Bearer {}\r\n", first.substr(first.find('=') + 1, 32));
  const std::string body = R"({"torus":0,"dst":7,"payload":1})";
  CHECK(!begins(http_ask(port, "POST /api/v1/inject", authorization, body), "HTTP/1.1 403"));
  CHECK(cluster.terminate(0) == 0);
  REQUIRE_MESSAGE(cluster.restart(0) == "", log_tails(cluster));
  CHECK(url() == first);
  CHECK(cluster.terminate(0) == 0);
}

}  // namespace
}  // namespace rse
