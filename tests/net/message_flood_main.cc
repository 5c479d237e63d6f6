// bazel run -c opt //tests/net:message_flood -- [--messages N] [--seed S] [--seconds S]
// As many messages as wanted through the worst network; exit code 0: each came once, in order and whole.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "tests/net/message_flood.h"

int main(int argc, char** argv) {
  CLI::App app{"Messages over UDP through a network that loses, doubles and reorders 10 % of the packets"};
  rse::FloodOptions options{.messages = 10'000'000, .seconds_max = 7200};
  app.add_option("--messages", options.messages, "of both directions together (10,000,000)");
  app.add_option("--seed", options.seed, "of the network's faults (1)");
  app.add_option("--seconds", options.seconds_max, "after which it has failed (7,200)");
  CLI11_PARSE(app, argc, argv);
  options.messages -= options.messages % 2;
  if (const std::string why = rse::TestNetwork::unavailable(); !why.empty()) return std::fprintf(stderr, "%s\n", why.c_str()), 1;
  const rse::FloodResult result = rse::flood(options);
  if (!result.failure.empty()) std::printf("failed: %s\n", result.failure.c_str());
  for (const rse::FloodEnd& end : result.ends) {
    std::printf("received %lu in order, %lu wrong, %lu links lost, in %.1f s; sent %lu packets, took %lu for lost\n", end.received, end.wrong,
                end.links_lost, end.seconds, end.packets_sent, end.packets_lost);
  }
  const rse::PacketRelay::Counts& network = result.network;
  std::printf("network: %lu packets sent, %lu lost, %lu doubled, %lu overtaken, %lu delivered\n", network.accepted, network.lost,
              network.doubled, network.overtaken, network.delivered);
  const bool whole = result.whole(options.messages);
  std::printf("%s\n", whole ? "each message came once, in order and whole" : "NOT WHOLE");
  return whole ? 0 : 1;
}
