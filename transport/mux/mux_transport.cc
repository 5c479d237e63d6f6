#include "transport/mux/mux_transport.h"

#include <algorithm>
#include <chrono>

#include "torus/base/assert.h"
#include "transport/monotonic_clock.h"

namespace rse {

namespace {

constexpr Duration kLookInterval = milliseconds(5);
constexpr Duration kSpareInterval = milliseconds(100);  // between messages over links that are not in use

struct Carrier {
  std::string scheme;
  std::unique_ptr<Transport> transport;
};

/// One life of a peer, and over which carriers it is linked.
struct MuxPeer {
  std::uint64_t incarnation = 0;
  LinkChoice links;
  bool death_reported = false;
  Instant next_look{}, next_spare{};
  bool any() const { return links.count() > 0; }
};

LinkUse use_of(const LinkChoice& links, std::size_t index) {
  if (index == links.in_use()) return LinkUse::kInUse;
  if (links.health(index) == LinkHealth::kSilent) return LinkUse::kSilent;
  return links.slow(index) ? LinkUse::kSlow : LinkUse::kSpare;
}

}  // namespace

std::string scheme_of(const std::string& address) {
  for (const char* scheme : {"ivshmem", "udp"}) {
    if (address.starts_with(std::string(scheme) + ":")) return scheme;
  }
  return {};
}

/// Outlives the mux while a callback that destroys it is still on the stack.
struct MuxTransport::Core : std::enable_shared_from_this<Core> {
  Core(TransportCallbacks callbacks, Clock clock) : callbacks(std::move(callbacks)), clock(clock ? std::move(clock) : monotonic_now) {}

  TransportCallbacks callbacks_of(std::size_t index) {
    TransportCallbacks own;
    own.on_up = [this, index](const Hello& hello) { shared_from_this()->on_up(index, hello); };
    own.on_down = [this, index](NodeId node, bool proof) { shared_from_this()->on_down(index, node, proof); };
    own.on_message = [this, index](NodeId node, std::span<const std::byte> message) {
      const auto found = peers.find(node);
      if (stopped || found == peers.end() || !found->second.links.linked(index)) return;
      const auto keep = shared_from_this();
      callbacks.on_message(node, message);
    };
    own.on_room = [this, index](NodeId node) {
      const auto keep = shared_from_this();
      if (!stopped && carrier_in_use(node) == carriers[index].transport.get() && callbacks.on_room) callbacks.on_room(node);
    };
    own.on_failure = [this](const std::string& address, const std::string& why) {
      const auto keep = shared_from_this();
      if (!stopped) callbacks.on_failure(address, why);
    };
    own.on_public_address = [this](const std::string& before, const std::string& after) {
      const auto keep = shared_from_this();
      if (!stopped && callbacks.on_public_address) callbacks.on_public_address(before, after);
    };
    return own;
  }

  void on_up(std::size_t index, const Hello& hello) {
    if (stopped) return;
    const NodeId node = hello.self.node;
    MuxPeer& peer = peers[node];
    if (peer.incarnation > hello.self.incarnation) return carriers[index].transport->disconnect(node);  // an older life
    if (peer.incarnation < hello.self.incarnation) {
      const bool old_life_ends = peer.any() && !peer.death_reported;
      peer = {};
      peer.incarnation = hello.self.incarnation;
      if (old_life_ends) callbacks.on_down(node, true);
      if (stopped) return;
    }
    const bool first = !peer.any();
    peer.links.up(index);
    peer.death_reported = false;
    if (first) callbacks.on_up(hello);
  }

  void on_down(std::size_t index, NodeId node, bool proof_of_death) {
    const auto found = peers.find(node);
    if (stopped || found == peers.end()) return;
    MuxPeer& peer = found->second;
    const bool was_up = peer.any();
    peer.links.down(index);
    if (proof_of_death) {
      if (std::exchange(peer.death_reported, true)) return;
      // What the others still take for links will end, or, if the proof was none, come up again.
      for (std::size_t other = 0; other < carriers.size(); ++other) {
        if (!peer.links.linked(other)) continue;
        peer.links.down(other);
        carriers[other].transport->disconnect(node);
      }
      callbacks.on_down(node, true);
    } else if (was_up && !peer.any()) {
      callbacks.on_down(node, false);
    }
  }

  Transport* carrier_for(const std::string& address) {
    const std::string scheme = scheme_of(address);
    for (Carrier& carrier : carriers) {
      if (carrier.scheme == scheme) return carrier.transport.get();
    }
    return nullptr;
  }

  /// nullptr: there is no link.
  Transport* carrier_in_use(NodeId node) const {
    const auto found = peers.find(node);
    if (found == peers.end() || !found->second.any()) return nullptr;
    return carriers[found->second.links.in_use()].transport.get();
  }

  /// Asks each link how far it has come, where there is a choice.
  void look(NodeId node, MuxPeer& peer, Instant now) {
    if (peer.links.count() < 2 || now < peer.next_look) return;
    peer.next_look = now + kLookInterval;
    for (std::size_t index = 0; index < carriers.size(); ++index) {
      if (!peer.links.linked(index)) continue;
      if (const auto progress = carriers[index].transport->progress(node)) peer.links.note(index, *progress, now);
    }
    peer.links.choose(now);
  }

  /// Whoever is not in use is asked for a sign of life.
  void send_over_spares(NodeId node, MuxPeer& peer, std::span<const SharedBytes> parts, Instant now) {
    if (peer.links.count() < 2 || now < peer.next_spare) return;
    peer.next_spare = now + kSpareInterval;
    for (std::size_t index = 0; index < carriers.size(); ++index) {
      if (peer.links.linked(index) && index != peer.links.in_use()) carriers[index].transport->send_at_once(node, parts);
    }
  }

  TransportCallbacks callbacks;
  Clock clock;
  std::vector<Carrier> carriers;
  std::map<NodeId, MuxPeer> peers;
  bool stopped = false;
};

MuxTransport::MuxTransport(TransportCallbacks callbacks, Clock clock)
    : core_(std::make_shared<Core>(std::move(callbacks), std::move(clock))) {}

MuxTransport::~MuxTransport() { stop(); }

std::string MuxTransport::add(const std::string& scheme, const Make& make) {
  RSE_ASSERT(core_->carriers.size() < kCarriersMax, "more transports than kCarriersMax");
  std::string error;
  auto transport = make(core_->callbacks_of(core_->carriers.size()), error);
  if (!transport) return error;
  core_->carriers.push_back({scheme, std::move(transport)});
  return {};
}

void MuxTransport::set_trust(std::shared_ptr<const TrustBook> book) {
  for (Carrier& carrier : core_->carriers) carrier.transport->set_trust(book);
}

void MuxTransport::set_hello(const Hello& hello) {
  for (Carrier& carrier : core_->carriers) carrier.transport->set_hello(hello);
}

void MuxTransport::dial(const std::string& address) {
  if (Transport* carrier = core_->carrier_for(address)) carrier->dial(address);
}

void MuxTransport::undial(const std::string& address) {
  if (Transport* carrier = core_->carrier_for(address)) carrier->undial(address);
}

SendResult MuxTransport::send_parts(NodeId node, std::span<const SharedBytes> parts) {
  Transport* const carrier = core_->carrier_in_use(node);
  if (carrier == nullptr) return SendResult::kNoLink;
  const SendResult result = carrier->send_parts(node, parts);
  if (result != SendResult::kNoLink) return result;
  // It is gone and has not said so yet.
  const MuxPeer& peer = core_->peers.at(node);
  for (std::size_t index = 0; index < core_->carriers.size(); ++index) {
    if (!peer.links.linked(index) || index == peer.links.in_use()) continue;
    const SendResult other = core_->carriers[index].transport->send_parts(node, parts);
    if (other != SendResult::kNoLink) return other;
  }
  return SendResult::kNoLink;
}

bool MuxTransport::has_room(NodeId node) const {
  const Transport* carrier = core_->carrier_in_use(node);
  return carrier == nullptr || carrier->has_room(node);
}

SendResult MuxTransport::send_at_once(NodeId node, std::span<const SharedBytes> parts) {
  const auto found = core_->peers.find(node);
  if (found == core_->peers.end() || !found->second.any()) return SendResult::kNoLink;
  const Instant now = core_->clock();
  core_->look(node, found->second, now);
  core_->send_over_spares(node, found->second, parts, now);
  return core_->carrier_in_use(node)->send_at_once(node, parts);
}

std::optional<LinkProgress> MuxTransport::progress(NodeId node) const {
  const Transport* carrier = core_->carrier_in_use(node);
  return carrier == nullptr ? std::nullopt : carrier->progress(node);
}

void MuxTransport::disconnect(NodeId node) {
  for (Carrier& carrier : core_->carriers) carrier.transport->disconnect(node);
}

void MuxTransport::on_addresses_changed() {
  for (Carrier& carrier : core_->carriers) carrier.transport->on_addresses_changed();
}

std::vector<LinkStats> MuxTransport::stats() const {
  std::vector<LinkStats> all;
  for (std::size_t index = 0; index < core_->carriers.size(); ++index) {
    for (LinkStats& stats : core_->carriers[index].transport->stats()) {
      const auto found = core_->peers.find(stats.peer);
      if (found != core_->peers.end() && found->second.links.linked(index)) stats.use = use_of(found->second.links, index);
      all.push_back(std::move(stats));
    }
  }
  std::stable_sort(all.begin(), all.end(), [](const LinkStats& a, const LinkStats& b) {
    const auto rank = [](const LinkStats& stats) { return !stats.connected ? 2 : stats.use != LinkUse::kInUse ? 1 : 0; };
    return a.peer != b.peer ? a.peer < b.peer : rank(a) < rank(b);
  });
  return all;
}

void MuxTransport::stop() {
  if (std::exchange(core_->stopped, true)) return;
  for (Carrier& carrier : core_->carriers) carrier.transport->stop();
}

}  // namespace rse
