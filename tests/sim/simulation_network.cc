// The network between simulated nodes: which messages arrive, when, and what is left of them.
#include <algorithm>

#include "tests/sim/simulation.h"
#include "torus/base/assert.h"
#include "transport/codec/codec.h"

namespace rse::sim {
namespace {

constexpr Duration kLoopLag{300'000};  // of a message at a node that is slow, times its slowness

}  // namespace

bool Simulation::send(std::size_t index, Outgoing& out) {
  Node& node = nodes_[index];
  ++messages_;
  if (node.dies_after_messages != ~0ull && node.dies_after_messages-- == 0 && (node.disk || may_lose(index))) return false;
  const std::size_t to = index_of(out.next_hop);
  if (to != nodes_.size()) post(index, to, std::move(out.envelope));
  return true;
}

void Simulation::post(std::size_t from, std::size_t to, Envelope envelope) {
  Link& way = link(from, to);
  if (way.blocked != 0 || (way.drop_percent != 0 && random_.below(100) < way.drop_percent)) return;
  const bool coded = way.hostile || (options_.codec_percent != 0 && random_.below(100) < options_.codec_percent);
  if (coded && !through_codec(envelope, way.hostile && random_.below(4) == 0)) return;
  const bool twice = way.duplicate_percent != 0 && random_.below(100) < way.duplicate_percent;
  for (int copy = twice ? 2 : 1; copy > 0; --copy) {
    std::uint64_t arrival = now_ + latency().raw + nodes_[to].slowness / 2 * kLoopLag.raw;
    if (way.delay.raw != 0) arrival += random_.next() % way.delay.raw;
    if (way.reorder_percent == 0 || random_.below(100) >= way.reorder_percent) {
      arrival = way.last_arrival = std::max(way.last_arrival, arrival) + 1;
    }
    std::uint64_t place = mail_.size();
    if (mail_free_.empty()) {
      mail_.emplace_back();
    } else {
      place = mail_free_.back();
      mail_free_.pop_back();
    }
    mail_[place].from = nodes_[from].id;
    if (copy == 1) {
      mail_[place].envelope = std::move(envelope);
    } else {
      mail_[place].envelope = envelope;
    }
    push(arrival, ActionKind::kMessage, to, place);
  }
}

/// The bytes of a message, changed on the way if asked. Links are authenticated, so what still decodes but to something else
/// is refused, as the link would; what matters is that the decoder bears it.
bool Simulation::through_codec(Envelope& envelope, bool hostile) {
  Bytes bytes = encode_envelope(envelope);
  const Bytes before = bytes;
  if (hostile) {
    for (std::uint32_t changes = 1 + random_.below(4); changes > 0 && !bytes.empty(); --changes) {
      const std::uint32_t at = random_.below(static_cast<std::uint32_t>(bytes.size()));
      switch (random_.below(4)) {
        case 0: bytes[at] ^= static_cast<std::byte>(1u << random_.below(8)); break;
        case 1: bytes[at] = static_cast<std::byte>(random_.below(256)); break;
        case 2: bytes.resize(at); break;
        case 3: bytes.insert(bytes.begin() + at, bytes[at]); break;
      }
    }
  }
  Result<Envelope> decoded = decode_envelope(bytes);
  if (!decoded.ok() || (hostile && encode_envelope(*decoded) != before)) {
    if (!hostile) history_.fail("a message of a node does not pass the codec: " + std::string(to_string(decoded.error())));
    ++hostile_refused_;
    return false;
  }
  if (!hostile && encode_envelope(*decoded) != before) history_.fail("a message is not the same after the codec");
  envelope = kept(std::move(*decoded));  // what was decoded lends from `bytes`
  return true;
}

void Simulation::deliver(Node& node, std::size_t, std::uint64_t place) {
  const NodeId from = mail_[place].from;
  const Envelope envelope = std::move(mail_[place].envelope);
  mail_free_.push_back(place);
  node.braid->on_message(local(node), from, envelope);
}

void Simulation::connect(std::size_t a, std::size_t b) {
  if (a == b || !alive(a) || !alive(b) || !connected(a, b)) return;
  notify(a, b, ActionKind::kLinkUp, b);
  notify(b, a, ActionKind::kLinkUp, a);
}

/// What a node is told about its link with a peer comes in the order in which it happened.
void Simulation::notify(std::size_t node, std::size_t peer, ActionKind kind, std::uint64_t argument, bool proof_of_death) {
  std::uint64_t& last = link(peer, node).last_notice;
  last = std::max(last + 1, now_ + latency().raw);
  push(last, kind, node, argument, proof_of_death);
}

void Simulation::break_link(std::size_t a, std::size_t b) {
  if (alive(a)) notify(a, b, ActionKind::kLinkDown, nodes_[b].id.raw);
  if (alive(b)) notify(b, a, ActionKind::kLinkDown, nodes_[a].id.raw);
}

void Simulation::block(std::size_t from, std::size_t to) { ++link(from, to).blocked; }
void Simulation::unblock(std::size_t from, std::size_t to) {
  RSE_ASSERT(link(from, to).blocked > 0, "unblock() follows block()");
  --link(from, to).blocked;
  connect(from, to);
}
void Simulation::cut(std::size_t a, std::size_t b) {
  block(a, b);
  block(b, a);
  break_link(a, b);
}
void Simulation::heal(std::size_t a, std::size_t b) {
  unblock(a, b);
  unblock(b, a);
}

}  // namespace rse::sim
