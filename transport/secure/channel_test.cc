#include "transport/secure/channel.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>

#include "torus/base/random.h"
#include "transport/handshake.h"

using namespace rse;

namespace {

constexpr std::uint64_t kNow = 1'800'000'000;

TicketRecord record_of(const Ticket& ticket, std::uint32_t uses = 1) {
  TicketRecord record;
  record.id = ticket.id;
  record.secret = digest_of_secret(ticket.secret);
  record.expires = ticket.expires;
  record.uses = record.uses_left = uses;
  return record;
}

/// A cluster of one member, and a ticket for it.
struct Cluster {
  Cluster() {
    book.cluster = {0xC1};
    book.trust.seed = random_secret().bytes;
    book.trust.admitted = {{{1}, book.key.shared()}};
    ticket.cluster = book.cluster;
    ticket.cluster_key = book.cluster_key();
    ticket.id = 77;
    ticket.secret = random_ticket_secret();
    ticket.expires = kNow + 900;
    book.trust.tickets = {record_of(ticket)};
  }
  TrustBook book{NodeKey::generate()};
  Ticket ticket;
};

TrustBook joiner_with(const Ticket& ticket) {
  TrustBook book(NodeKey::generate());
  book.ticket = ticket;
  return book;
}

struct Pair {
  Pair(const TrustBook& one, const TrustBook& two)
      : initiator(NoiseRole::kInitiator, std::make_shared<TrustBook>(one), "there:1"),
        responder(NoiseRole::kResponder, std::make_shared<TrustBook>(two), "here:2") {
    initiator.start(to_responder);
  }
  /// Passes bytes on until nothing moves; `chunk` at a time.
  void run(std::size_t chunk = 1 << 20, std::uint64_t initiator_clock = kNow, std::uint64_t responder_clock = kNow) {
    for (int round = 0; round < 4000 && step(responder, to_responder, to_initiator, chunk, responder_clock) +
                                            step(initiator, to_initiator, to_responder, chunk, initiator_clock) > 0; ++round) {
    }
  }
  std::size_t step(SecureChannel& to, Bytes& in, Bytes& out, std::size_t chunk, std::uint64_t clock) {
    if (in.empty() || to.state() != SecureChannel::State::kHandshake) return 0;
    Bytes& held = &to == &initiator ? at_initiator : at_responder;
    const std::size_t some = std::min(chunk, in.size());
    held.insert(held.end(), in.begin(), in.begin() + static_cast<std::ptrdiff_t>(some));
    in.erase(in.begin(), in.begin() + static_cast<std::ptrdiff_t>(some));
    const std::size_t taken = to.on_handshake(held, clock, out);
    held.erase(held.begin(), held.begin() + static_cast<std::ptrdiff_t>(taken));
    return some;
  }
  bool both_open() const {
    return initiator.state() == SecureChannel::State::kOpen && responder.state() == SecureChannel::State::kOpen;
  }
  SecureChannel initiator, responder;
  Bytes to_responder, to_initiator, at_initiator, at_responder;
};

/// Why a joiner with this ticket is turned away; by whom it is said does not matter.
std::string refusal(const TrustBook& joiner, const TrustBook& member, std::uint64_t joiner_clock = kNow) {
  Pair pair(joiner, member);
  pair.run(1 << 20, joiner_clock);
  if (pair.initiator.state() == SecureChannel::State::kBroken) return pair.initiator.why();
  REQUIRE(pair.both_open());
  return pair.responder.verdict().refusal;
}

bool says(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

Bytes some_bytes(std::size_t size, std::uint64_t seed) {
  Random random(seed);
  Bytes bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random.below(256));
  return bytes;
}

}  // namespace

TEST_CASE("channel: two members trust each other by key; one that has missed the newest view, by the cluster key") {
  const Cluster cluster;
  TrustBook other = cluster.book;
  other.key = NodeKey::generate();
  TrustBook first = cluster.book;
  first.trust.admitted.push_back({{2}, other.key.shared()});
  other.trust = first.trust;
  for (const std::size_t chunk : {1u, 7u, 100'000u}) {  // however the network cuts it
    CAPTURE(chunk);
    Pair pair(other, first);
    pair.run(chunk);
    REQUIRE(pair.both_open());
    CHECK(pair.responder.verdict().refusal.empty());
    CHECK(pair.responder.peer().key == other.key.shared());
    CHECK(pair.initiator.peer().key == first.key.shared());
    CHECK(pair.initiator.cipher() == pair.responder.cipher());
  }
  CHECK(refusal(other, cluster.book).empty());  // admitted in a view that this one does not know yet
  CHECK(refusal(cluster.book, other).empty());
}

TEST_CASE("channel: a joiner with a good ticket is let in for asking, and both have pinned the other") {
  const Cluster cluster;
  const TrustBook joiner = joiner_with(cluster.ticket);
  Pair pair(joiner, cluster.book);
  pair.run();
  REQUIRE(pair.both_open());
  CHECK(pair.responder.verdict().refusal.empty());
  CHECK(pair.responder.verdict().ticket == 77);
  CHECK(pair.responder.peer().key == joiner.key.shared());
  CHECK(pair.initiator.verdict().ticket == 0);
  CHECK(pair.initiator.peer().knows_cluster);
}

TEST_CASE("channel: each failure of a ticket names its cause") {
  Cluster cluster;
  const TrustBook joiner = joiner_with(cluster.ticket);
  TicketRecord& record = cluster.book.trust.tickets[0];
  record.uses_left = 0;
  CHECK(says(refusal(joiner, cluster.book), "it has been used; make a new ticket"));
  CHECK(is_final_refusal(refusal(joiner, cluster.book)));
  record.uses_left = 1, record.revoked = true;
  CHECK(says(refusal(joiner, cluster.book), "it has been revoked"));
  record.revoked = false, record.expires = kNow - 1;
  CHECK(says(refusal(joiner, cluster.book), "it expired at 2027-01-15 07:59:59 UTC, and here it is 2027-01-15 08:00:00 UTC"));
  CHECK_FALSE(says(refusal(joiner, cluster.book), "clock"));
  CHECK(says(refusal(joiner, cluster.book, kNow - 600), "the clock of the joining machine is 600 s behind"));
  record.expires = kNow + 900;
  Ticket other = cluster.ticket;
  other.secret = random_ticket_secret();
  CHECK(says(refusal(joiner_with(other), cluster.book), "it is not known here"));
  other = cluster.ticket;
  other.id = 78;
  CHECK(says(refusal(joiner_with(other), cluster.book), "it is not known here"));
  CHECK_FALSE(is_final_refusal(refusal(joiner_with(other), cluster.book)));  // a member may be behind
  other = cluster.ticket;
  other.cluster = {0xC2};
  other.cluster_key = public_key_of(random_secret());
  CHECK(says(refusal(joiner_with(other), cluster.book), "it runs cluster 00000000000000c1, the ticket is of 00000000000000c2"));
  CHECK(refusal(joiner, cluster.book).empty());
}

TEST_CASE("channel: without a ticket, with a revoked key, of another cluster: refused, and why") {
  Cluster cluster, second;
  second.book.cluster = {0xC2};
  CHECK(says(refusal(second.book, cluster.book), "it runs cluster 00000000000000c1, this data directory is of 00000000000000c2"));
  TrustBook stranger = second.book;
  stranger.cluster = cluster.book.cluster;  // it only says that it is
  CHECK(says(refusal(stranger, cluster.book), "cannot join there:1") == false);
  CHECK(says(refusal(stranger, cluster.book), "its key is not known to cluster 00000000000000c1"));
  TrustBook forgotten = cluster.book;  // it still knows the cluster key
  forgotten.key = NodeKey::generate();
  cluster.book.trust.revoked = {forgotten.key.shared()};
  CHECK(says(refusal(forgotten, cluster.book), "its key has been revoked"));
  CHECK(is_final_refusal(told_text("10.0.0.7:7400", refusal(forgotten, cluster.book))));
  CHECK_FALSE(is_final_refusal(refusal(forgotten, cluster.book)));  // what this node says of another is not the end of this one
}

TEST_CASE("channel: who poses as the cluster learns nothing of the ticket") {
  const Cluster cluster;
  TrustBook impostor(NodeKey::generate());
  impostor.cluster = cluster.book.cluster;
  impostor.trust.seed = random_secret().bytes;
  Pair pair(joiner_with(cluster.ticket), impostor);
  pair.run();
  CHECK(pair.initiator.state() == SecureChannel::State::kBroken);
  CHECK(says(pair.initiator.why(), "does not prove the cluster key of the ticket"));
  CHECK(pair.responder.state() == SecureChannel::State::kHandshake);  // the third message was never sent
}

TEST_CASE("channel: a node that shows another key than the one pinned to its id is named") {
  const Cluster cluster;
  CHECK(judge_node(cluster.book, {1}, cluster.book.key.shared(), "x:1").empty());
  CHECK(judge_node(cluster.book, {2}, NodeKey::generate().shared(), "x:1").empty());
  CHECK(says(judge_node(cluster.book, {1}, NodeKey::generate().shared(), "x:1"), "another key"));
}

TEST_CASE("channel: a link outlives its trust in no case") {
  Cluster cluster;
  PeerProof by_ticket{.cluster = {}, .key = NodeKey::generate().shared(), .ticket = 77, .ticket_secret = {}};
  CHECK(still_trusted(cluster.book, by_ticket));
  cluster.book.trust.tickets[0].uses_left = 0;  // somebody else has used it
  CHECK_FALSE(still_trusted(cluster.book, by_ticket));
  cluster.book.trust.admitted.push_back({{2}, by_ticket.key});  // no, this one
  CHECK(still_trusted(cluster.book, by_ticket));
  cluster.book.trust.revoked.push_back(by_ticket.key);
  CHECK_FALSE(still_trusted(cluster.book, by_ticket));
}

TEST_CASE("channel: what is sealed in pieces opens as one stream, however it arrives") {
  const Cluster cluster;
  Pair pair(joiner_with(cluster.ticket), cluster.book);
  pair.run();
  REQUIRE(pair.both_open());
  for (const std::size_t size : {1u, 4u, 4700u, 16384u, 16385u, 300'000u}) {
    CAPTURE(size);
    const Bytes body = some_bytes(size, size);
    const Bytes head = some_bytes(4, 1);
    Bytes wire, text;
    const std::array<std::span<const std::byte>, 3> pieces{head, {}, body};
    wire.resize(SecureChannel::sealed_size(head.size() + size));
    pair.initiator.seal(pieces, wire.data());
    std::size_t at = 0;
    for (std::size_t have = 0; have <= wire.size(); have += 1 + have / 3) {
      if (wire.size() - have < 1 + have / 3) have = wire.size();
      const std::span in(wire.data() + at, have - at);
      const std::size_t record = pair.responder.next_record(in);
      if (record == 0) continue;
      text.resize(text.size() + record);
      at += pair.responder.open(in, text.data() + text.size() - record);
    }
    while (at < wire.size()) {
      const std::span in(wire.data() + at, wire.size() - at);
      const std::size_t record = pair.responder.next_record(in);
      REQUIRE(record > 0);
      text.resize(text.size() + record);
      at += pair.responder.open(in, text.data() + text.size() - record);
    }
    Bytes whole = head;
    whole.insert(whole.end(), body.begin(), body.end());
    CHECK(text == whole);
  }
}

TEST_CASE("channel: handshakes with any bit changed on the way, or from noise, end in no trust") {
  const Cluster cluster;
  const TrustBook joiner = joiner_with(cluster.ticket);
  Random random(3);
  for (int trial = 0; trial < 200; ++trial) {
    CAPTURE(trial);
    Pair pair(joiner, cluster.book);
    const std::uint32_t spoiled = random.below(3);  // which message
    std::uint32_t message = 0;
    for (; message < 3; ++message) {
      Bytes& wire = message % 2 == 0 ? pair.to_responder : pair.to_initiator;
      if (message == spoiled) wire[random.below(static_cast<std::uint32_t>(wire.size()))] ^= std::byte(1u << random.below(8));
      pair.step(message % 2 == 0 ? pair.responder : pair.initiator, wire, message % 2 == 0 ? pair.to_initiator : pair.to_responder,
                1 << 20, kNow);
    }
    CHECK_FALSE(pair.both_open());
  }
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SecureChannel channel(NoiseRole::kResponder, std::make_shared<TrustBook>(cluster.book), "x:1");
    Bytes reply, noise = some_bytes(400, seed);
    if (seed % 2 == 0) std::memcpy(noise.data(), "RSEsec1\n\x30\0", 10);  // a size that fits
    channel.on_handshake(noise, kNow, reply);
    CHECK(channel.state() != SecureChannel::State::kOpen);
  }
}

TEST_CASE("ticket: its text comes back; a letter changed or cut off is noticed") {
  Cluster cluster;
  cluster.ticket.addresses = {"10.0.0.7:7400", "[2001:db8::7]:7400", "node.example:7400"};
  const std::string text = ticket_text(cluster.ticket);
  std::string why;
  const auto read = read_ticket(text, why);
  REQUIRE(read);
  CHECK(read->cluster == cluster.ticket.cluster);
  CHECK(read->cluster_key == cluster.ticket.cluster_key);
  CHECK(read->id == cluster.ticket.id);
  CHECK(read->secret.bytes == cluster.ticket.secret.bytes);
  CHECK(read->expires == cluster.ticket.expires);
  CHECK(read->addresses == cluster.ticket.addresses);
  for (std::size_t at = 0; at < text.size(); ++at) {
    CAPTURE(at);
    std::string changed = text;
    changed[at] = changed[at] == 'A' ? 'B' : 'A';
    // The last letter may have bits that mean nothing; the decoder refuses them too.
    CHECK_FALSE(read_ticket(changed, why));
    CHECK_FALSE(says(why, text.c_str() + 5));
    CHECK_FALSE(read_ticket(text.substr(0, at), why));
  }
  CHECK_FALSE(read_ticket("", why));
  CHECK_FALSE(read_ticket(text + "=", why));
}

TEST_CASE("ticket: one that a terminal or a letter has broken into lines, or that has blanks around it, is whole") {
  Cluster cluster;
  const std::string text = ticket_text(cluster.ticket);
  std::string why;
  std::string broken = " \t" + text.substr(0, 3) + "\r\n" + text.substr(3, 40) + "\n  " + text.substr(43) + " \n";
  const auto read = read_ticket(broken, why);
  REQUIRE(read);
  CHECK(read->id == cluster.ticket.id);
  CHECK_FALSE(read_ticket(" \n", why));
}
