// Who is admitted, by real BraidNodes whose links and clock are in this file: the loop delivers everything in order.
#include <doctest/doctest.h>

#include <functional>
#include <memory>

#include "torus/braid/braid_node.h"

using namespace rse;

namespace {

PublicKey key_of(std::uint64_t node) {
  PublicKey key;
  key.bytes.fill(static_cast<std::uint8_t>(node));
  return key;
}

TrustChange adding(std::uint64_t id, std::uint32_t uses) {
  TrustChange change{.kind = TrustChange::Kind::kAddTicket, .ticket = {}, .forget = {}};
  change.ticket.id = id;
  change.ticket.uses = change.ticket.uses_left = uses;
  return change;
}

TrustChange forgetting(std::uint64_t node) {
  TrustChange change{.kind = TrustChange::Kind::kForget, .ticket = {}, .forget = {{node}, key_of(node)}};
  change.seed.fill(9);
  return change;
}

/// Nodes 1, 2, ... of which 1 has founded an encrypted cluster. None has a disk.
struct Nodes {
  explicit Nodes(std::uint64_t count) {
    for (std::uint64_t id = 1; id <= count; ++id) {
      BraidNode::Options options;
      options.self = {{id}, 1, "n" + std::to_string(id), {}};
      options.capacity = {1024, 1024, 16, 1024};
      options.seed = id;
      if (id == 1) {
        options.found = ClusterId{5};
        options.found_trust.seed.fill(3);
        options.found_trust.admitted = {{{1}, key_of(1)}};
      }
      nodes.push_back(std::make_unique<BraidNode>(options, Recovered{}, now));
    }
  }
  BraidNode& operator[](std::uint64_t id) { return *nodes[id - 1]; }
  /// What the channel has proved of `b` to `a`, and the other way round.
  void link(std::uint64_t a, std::uint64_t b, std::uint64_t ticket_of_b) {
    (*this)[a].on_link_up(now, {{b}, 1, "n" + std::to_string(b), {}}, key_of(b), ticket_of_b);
    (*this)[b].on_link_up(now, {{a}, 1, "n" + std::to_string(a), {}}, key_of(a), 0);
    links.push_back({a, b});
  }
  bool linked(std::uint64_t a, std::uint64_t b) const {
    for (const auto& [one, two] : links) {
      if ((one == a && two == b) || (one == b && two == a)) return true;
    }
    return false;
  }
  void pump() {
    for (bool more = true; std::exchange(more, false);) {
      for (std::uint64_t id = 1; id <= nodes.size(); ++id) {
        BraidNode& node = (*this)[id];
        for (; auto work = node.poll_work(); more = true) {
          const RunEpoch& run = std::get<RunEpoch>(*work);
          execute(run);
          node.on_epoch_done(now, run.torus, run.kind);
          if (++works > 20'000) return;  // tori never rest; the rest comes with the next millisecond
        }
        for (; auto out = node.poll_send(); more = true) {
          if (watch) watch(*out);
          if (linked(id, out->next_hop.raw)) (*this)[out->next_hop.raw].on_message(now, {id}, out->envelope);
        }
        while (node.poll_event()) {
        }
        while (node.poll_sealed()) {
        }
      }
    }
  }
  template <class F>
  bool run_until(F done, int milliseconds_max = 5000) {
    for (int i = 0; i < milliseconds_max && !done(); ++i) {
      now = now + milliseconds(1);
      works = 0;
      for (const auto& node : nodes) node->on_deadline(now);
      pump();
    }
    return done();
  }
  std::size_t members() { return (*this)[1].view().members.size(); }

  Instant now = milliseconds_since_start(1000);
  std::function<void(const Outgoing&)> watch;  // sees all that is sent
  std::vector<std::unique_ptr<BraidNode>> nodes;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> links;
  int works = 0;

 private:
  static Instant milliseconds_since_start(std::uint64_t count) { return {count * 1'000'000}; }
};

}  // namespace

/// Whether a message holds the cluster key of a view.
bool carries_seed(const Message& message) {
  const Bytes* bytes = nullptr;
  if (const auto* decided = std::get_if<Decided>(&message)) bytes = &decided->view;
  if (const auto* accept = std::get_if<Accept>(&message)) bytes = &accept->view;
  if (const auto* promise = std::get_if<Promise>(&message)) bytes = &promise->accepted;
  if (bytes == nullptr || bytes->empty()) return false;
  ByteReader reader(*bytes);
  const auto view = decode_view(reader);
  return view && view->trust.has_seed();
}

/// Three hosts, each of them a voter.
void bring_up_three(Nodes& nodes) {
  REQUIRE(nodes[1].on_trust_change(nodes.now, adding(7, 2)));
  nodes.link(1, 2, 7);
  nodes.link(1, 3, 7);
  REQUIRE(nodes.run_until([&] { return nodes.members() == 3; }));
  nodes.link(2, 3, 0);
  REQUIRE(nodes.run_until([&] { return nodes[1].view().voters.size() == 3 && nodes[1].status(nodes.now).health == Health::kHealthy; }, 20'000));
}

TEST_CASE("admission: who is not admitted is told that it is not, and never the cluster key") {
  Nodes nodes(3);
  REQUIRE(nodes[1].on_trust_change(nodes.now, adding(7, 1)));
  REQUIRE(nodes.run_until([&] { return nodes[1].view().trust.find_ticket(7) != nullptr; }));
  nodes.watch = [&](const Outgoing& out) {
    if (carries_seed(out.envelope.message)) CHECK(nodes[1].view().trust.key_of(out.next_hop));
  };
  nodes.link(1, 2, 7);
  nodes.link(1, 3, 7);
  REQUIRE(nodes.run_until([&] { return nodes.members() == 2; }));
  nodes.run_until([] { return false; }, 200);
  const std::uint64_t in = nodes[2].is_member() ? 2 : 3, out = 5 - in;
  CHECK(nodes[in].view().trust == nodes[1].view().trust);
  CHECK(nodes[out].view().number == nodes[1].view().number);
  CHECK_FALSE(nodes[out].view().trust.has_seed());
  CHECK_FALSE(nodes[out].view().trust.open());
}

TEST_CASE("forget: the forgotten voter, whichever it is, learns that it is out, and nothing of the new cluster key") {
  for (std::uint64_t gone = 1; gone <= 3; ++gone) {
    CAPTURE(gone);
    Nodes nodes(3);
    bring_up_three(nodes);
    const auto old_seed = nodes[1].view().trust.seed;
    const std::uint64_t asked = gone % 3 + 1;
    bool wished_to_it = false, told_it = false;
    nodes.watch = [&](const Outgoing& out) {
      if (out.next_hop.raw != gone) return;
      wished_to_it |= std::holds_alternative<TrustWish>(out.envelope.message);
      if (const auto* decided = std::get_if<Decided>(&out.envelope.message)) {
        ByteReader reader(decided->view);
        told_it |= !decode_view(reader)->trust.key_of({gone});
      }
      if (nodes[asked].view().trust.seed != old_seed) CHECK_FALSE(carries_seed(out.envelope.message));
    };
    REQUIRE(nodes[asked].on_trust_change(nodes.now, forgetting(gone)));
    REQUIRE(nodes.run_until([&] { return nodes[asked].view().trust.is_revoked(key_of(gone)); }));
    REQUIRE(nodes.run_until([&] { return !nodes[gone].is_member(); }));
    nodes.run_until([] { return false; }, 200);
    CHECK_FALSE(wished_to_it);
    CHECK(told_it);
    CHECK_FALSE(nodes[gone].view().trust.has_seed());
    const std::uint64_t other = 6 - gone - asked;
    CHECK(nodes[asked].view().trust == nodes[other].view().trust);
    CHECK(nodes[asked].view().trust.seed != forgetting(gone).seed);  // hearing the wish is not enough either
    CHECK(nodes[asked].view().members.size() == 2);
  }
}

TEST_CASE("forget: a voter that is to be forgotten and asks for promises gets none that tell of the view without it") {
  Nodes nodes(3);
  bring_up_three(nodes);
  const auto old_seed = nodes[1].view().trust.seed;
  nodes.watch = [&](const Outgoing& out) {
    if (!carries_seed(out.envelope.message) || out.next_hop.raw != 3) return;
    const Message& message = out.envelope.message;
    const auto* promise = std::get_if<Promise>(&message);
    const auto* decided = std::get_if<Decided>(&message);
    ByteReader reader(promise ? promise->accepted : decided ? decided->view : std::get<Accept>(message).view);
    CHECK(decode_view(reader)->trust.seed == old_seed);
  };
  REQUIRE(nodes[1].on_trust_change(nodes.now, forgetting(3)));
  const ViewNumber next{nodes[1].view().number.raw + 1};
  for (std::uint64_t round = 1; round < 400 && nodes[1].view().number < next; ++round) {
    const Prepare prepare{next, (1000 + round) << 16 | 2};
    for (std::uint64_t to = 1; to <= 2; ++to) nodes[to].on_message(nodes.now, {3}, {{3}, 1, {to}, prepare});
    nodes.run_until([] { return false; }, 1);
  }
  nodes.run_until([&] { return nodes[1].view().trust.is_revoked(key_of(3)); });
  CHECK(nodes[1].view().trust.is_revoked(key_of(3)));
}

TEST_CASE("admission: of two nodes with the same ticket of one use, one is admitted and the other never") {
  Nodes nodes(3);
  REQUIRE(nodes[1].on_trust_change(nodes.now, adding(7, 1)));
  REQUIRE(nodes.run_until([&] { return nodes[1].view().trust.find_ticket(7) != nullptr; }));
  nodes.link(1, 2, 7);
  nodes.link(1, 3, 7);
  REQUIRE(nodes.run_until([&] { return nodes.members() == 2; }));
  CHECK_FALSE(nodes.run_until([&] { return nodes.members() == 3; }, 400));
  const Trust& trust = nodes[1].view().trust;
  CHECK(trust.find_ticket(7)->uses_left == 0);
  CHECK(trust.admitted.size() == 2);
  CHECK(trust.is_admitted(key_of(2)) != trust.is_admitted(key_of(3)));
}

TEST_CASE("admission: a ticket made on one member admits at another, where both know the same") {
  Nodes nodes(3);
  REQUIRE(nodes[1].on_trust_change(nodes.now, adding(7, 1)));
  REQUIRE(nodes.run_until([&] { return nodes[1].view().trust.find_ticket(7) != nullptr; }));
  nodes.link(1, 2, 7);
  REQUIRE(nodes.run_until([&] { return nodes[2].is_member(); }));
  REQUIRE(nodes[2].on_trust_change(nodes.now, adding(8, 1)));  // it is no voter: it asks the one that is
  REQUIRE(nodes.run_until([&] { return nodes[1].view().trust.find_ticket(8) && nodes[2].view().trust.find_ticket(8); }));
  nodes.link(2, 3, 8);  // and has no link with node 1: node 2 passes its wish on
  REQUIRE(nodes.run_until([&] { return nodes.members() == 3; }));
  CHECK(nodes[1].view().trust.key_of({3}) != nullptr);
  CHECK(nodes[1].view().trust == nodes[2].view().trust);
}

TEST_CASE("admission: before it is admitted, a newcomer's word counts for nothing") {
  Nodes nodes(2);
  nodes.link(1, 2, 99);  // a ticket that the cluster does not know
  nodes.run_until([] { return false; }, 50);
  CHECK(nodes.members() == 1);
  View forged = nodes[1].view();
  forged.number.raw += 100;
  forged.trust.admitted.push_back({{2}, key_of(2)});
  Bytes bytes;
  encode_view(forged, bytes);
  nodes[1].on_message(nodes.now, {2}, {{2}, 1, {1}, Decided{bytes}});
  CHECK(nodes[1].view().number.raw < 100);
  nodes[1].on_message(nodes.now, {2}, {{1}, 1, {1}, Decided{bytes}});  // as someone else's word, passed on
  CHECK(nodes[1].view().number.raw < 100);
  nodes[1].on_message(nodes.now, {2}, {{2}, 1, {1}, TrustWish{adding(99, 1)}});
  nodes[1].on_message(nodes.now, {2}, {{2}, 1, {1}, Join{{{2}, 1, "n2", {}}, nodes[1].view().number, key_of(1), 0}});  // with another's key
  nodes.run_until([] { return false; }, 100);
  CHECK(nodes.members() == 1);
  CHECK(nodes[1].view().trust.tickets.empty());
  nodes[1].on_message(nodes.now, {2}, {{2}, 2, {1}, Decided{bytes}});  // as a later life of itself
  CHECK(nodes[1].view().number.raw < 100);
}

TEST_CASE("forget: the node is no member from the next view on, and its key never admits it again") {
  Nodes nodes(2);
  REQUIRE(nodes[1].on_trust_change(nodes.now, adding(7, 2)));
  nodes.link(1, 2, 7);
  REQUIRE(nodes.run_until([&] { return nodes.members() == 2; }));
  CHECK_FALSE(nodes[1].on_trust_change(nodes.now, forgetting(1)));  // itself
  REQUIRE(nodes[1].on_trust_change(nodes.now, forgetting(2)));
  REQUIRE(nodes.run_until([&] { return nodes[1].view().trust.is_revoked(key_of(2)); }));
  CHECK(nodes.members() == 1);
  CHECK(nodes[1].view().trust.find_ticket(7)->revoked);
  CHECK_FALSE(nodes.run_until([&] { return nodes.members() == 2; }, 400));  // it goes on asking
}
