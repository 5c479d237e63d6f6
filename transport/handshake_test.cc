#include "transport/handshake.h"

#include <doctest/doctest.h>

using namespace rse;

namespace {

Hello hello_of(std::uint64_t node, std::uint64_t cluster) {
  Hello hello;
  hello.cluster = {cluster};
  hello.self.node = {node};
  hello.self.incarnation = 1;
  return hello;
}

}  // namespace

TEST_CASE("handshake: versions whose ranges overlap get along, others are told which machine is behind") {
  Hello own = hello_of(1, 0), peer = hello_of(2, 0);
  std::string why;
  own.protocol_min = 2, own.protocol_max = 3;
  peer.protocol_min = 3, peer.protocol_max = 9;
  CHECK(judge_hello(own, peer, "h:1", why) == HelloVerdict::kWelcome);
  peer.protocol_min = 4;
  CHECK(judge_hello(own, peer, "h:1", why) == HelloVerdict::kRefused);
  CHECK(why ==
        "cannot talk to h:1: it speaks protocol versions 4 to 9, this node 2 to 3; install the newer rse-node on "
        "this machine");
  peer.protocol_min = peer.protocol_max = 1;
  CHECK(judge_hello(own, peer, "h:1", why) == HelloVerdict::kRefused);
  CHECK(why.ends_with("that machine"));
}

TEST_CASE("handshake: two clusters never mix; a node of none may join either") {
  std::string why;
  CHECK(judge_hello(hello_of(1, 0), hello_of(2, 7), "h:1", why) == HelloVerdict::kWelcome);
  CHECK(judge_hello(hello_of(1, 7), hello_of(2, 0), "h:1", why) == HelloVerdict::kWelcome);
  CHECK(judge_hello(hello_of(1, 0xA2FD), hello_of(2, 0xB1), "10.0.0.7:7400", why) == HelloVerdict::kRefused);
  CHECK(why ==
        "cannot join 10.0.0.7:7400: it runs cluster 00000000000000b1, this data directory is of 000000000000a2fd; "
        "use an empty --data-dir");
}

TEST_CASE("handshake: nodes that take their cuts at different times keep apart and say why") {
  Hello own = hello_of(1, 7), peer = hello_of(2, 7);
  std::string why;
  own.cut_epochs = 16;
  CHECK(judge_hello(own, peer, "h:1", why) == HelloVerdict::kRefused);
  CHECK(why == "cannot talk to h:1: its tori take a cut every 256 epochs, those of this node every 16; start both with the same --cut-epochs");
  peer.cut_epochs = 16;
  CHECK(judge_hello(own, peer, "h:1", why) == HelloVerdict::kWelcome);
}

TEST_CASE("handshake: a node knows itself, and a copy of its data directory") {
  std::string why;
  Hello copy = hello_of(1, 7);
  CHECK(judge_hello(hello_of(1, 7), copy, "h:1", why) == HelloVerdict::kOurselves);
  copy.self.incarnation = 2;
  CHECK(judge_hello(hello_of(1, 7), copy, "h:1", why) == HelloVerdict::kRefused);
  CHECK(why.find("copy") != std::string::npos);
}

TEST_CASE("handshake: the granting side keeps a link that works and replaces one that the peer has lost") {
  CHECK(judge_claim({}, 0, 1, {0}) == ClaimVerdict::kGrant);
  CHECK(judge_claim({}, 5, 4, {0}) == ClaimVerdict::kOldLife);
  const LinkInUse fresh{.number = 3, .incarnation = 4, .taken = false};
  const LinkInUse taken{.number = 3, .incarnation = 4, .taken = true};
  CHECK(judge_claim(fresh, 4, 4, {0}) == ClaimVerdict::kDuplicate);  // the grant is still on its way
  CHECK(judge_claim(taken, 4, 4, {3}) == ClaimVerdict::kDuplicate);
  CHECK(judge_claim(taken, 4, 4, {0}) == ClaimVerdict::kReplace);
  CHECK(judge_claim(taken, 4, 4, {2}) == ClaimVerdict::kReplace);
  CHECK(judge_claim(taken, 4, 5, {0}) == ClaimVerdict::kNewLife);
  CHECK(judge_claim(taken, 4, 3, {3}) == ClaimVerdict::kOldLife);
}
