#include "transport/beacon/beacon.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

#include "torus/base/sentence.h"
#include "torus/braid/view.h"
#include "transport/handshake.h"
#include "transport/secure/keys.h"
#include "transport/transport.h"

namespace rse {
namespace {

constexpr std::string_view kMagic = "RSEbcn1\n";
constexpr std::string_view kNodeContext = "RSE beacon, node 1";
constexpr std::string_view kClusterContext = "RSE beacon, cluster 1";
constexpr std::size_t kSignatureBytes = std::tuple_size_v<Signature>;
constexpr std::size_t kAddressTextMax = 255;

/// What a signature is over.
std::vector<std::uint8_t> text_of(std::string_view context, std::span<const std::byte> bytes) {
  std::vector<std::uint8_t> text(context.begin(), context.end());
  const auto* const at = reinterpret_cast<const std::uint8_t*>(bytes.data());
  text.insert(text.end(), at, at + bytes.size());
  return text;
}

void put_signature(Bytes& out, const SecretKey& seed, std::string_view context) {
  const Signature signature = sign(seed, text_of(context, out));
  ByteWriter(out).put_bytes(std::as_bytes(std::span(signature)));
}

bool holds(std::span<const std::byte> datagram, std::size_t at, const PublicKey& key, std::string_view context) {
  Signature signature;
  std::memcpy(signature.data(), datagram.data() + at, signature.size());
  return signature_is_of(key, text_of(context, datagram.first(at)), signature);
}

}  // namespace

Bytes write_beacon(Beacon beacon, const TrustBook& book) {
  Bytes out;
  ByteWriter writer(out);
  writer.put_bytes(std::as_bytes(std::span(kMagic)));
  writer.put(beacon.protocol_min);
  writer.put(beacon.protocol_max);
  writer.put(beacon.cluster);
  writer.put(beacon.node);
  writer.put_bytes(std::as_bytes(std::span(book.key.shared().bytes)));
  writer.put(beacon.time);
  writer.put(beacon.nonce);
  std::size_t size = out.size() + 1 + 2 * kSignatureBytes;
  std::erase_if(beacon.addresses, [&](const std::string& address) {
    if (address.empty() || address.size() > kAddressTextMax || size + 1 + address.size() > kBeaconBytesMax) return true;
    size += 1 + address.size();
    return false;
  });
  if (beacon.addresses.size() > kAddressesMax) beacon.addresses.resize(kAddressesMax);
  writer.put(static_cast<std::uint8_t>(beacon.addresses.size()));
  for (const std::string& address : beacon.addresses) {
    writer.put(static_cast<std::uint8_t>(address.size()));
    writer.put_bytes(std::as_bytes(std::span(address)));
  }
  SecretKey cluster_seed;
  cluster_seed.bytes = book.trust.seed;
  put_signature(out, book.key.seed(), kNodeContext);
  put_signature(out, cluster_seed, kClusterContext);
  return out;
}

std::optional<Beacon> read_beacon(std::span<const std::byte> datagram) {
  if (datagram.size() > kBeaconBytesMax || datagram.size() < kMagic.size() + 2 * kSignatureBytes) return {};
  if (std::memcmp(datagram.data(), kMagic.data(), kMagic.size()) != 0) return {};
  ByteReader reader(datagram.first(datagram.size() - 2 * kSignatureBytes).subspan(kMagic.size()));
  Beacon beacon;
  beacon.protocol_min = reader.get<std::uint32_t>();
  beacon.protocol_max = reader.get<std::uint32_t>();
  beacon.cluster = reader.get<ClusterId>();
  beacon.node = reader.get<NodeId>();
  const auto key = reader.get_bytes(beacon.key.bytes.size());
  if (reader.ok()) std::memcpy(beacon.key.bytes.data(), key.data(), key.size());
  beacon.time = reader.get<std::uint64_t>();
  beacon.nonce = reader.get<std::uint64_t>();
  const auto count = reader.get<std::uint8_t>();
  if (count == 0 || count > kAddressesMax) return {};
  for (unsigned i = 0; reader.ok() && i < count; ++i) {
    const auto text = reader.get_bytes(reader.get<std::uint8_t>());
    beacon.addresses.emplace_back(reinterpret_cast<const char*>(text.data()), text.size());
    if (text.empty() || !is_sentence(beacon.addresses.back())) return {};
  }
  if (!reader.finished() || beacon.cluster.raw == 0 || beacon.node.raw == 0) return {};
  return beacon;
}

bool signatures_hold(const Beacon& beacon, std::span<const std::byte> datagram, const PublicKey& cluster_key) {
  const std::size_t cluster_at = datagram.size() - kSignatureBytes;
  return holds(datagram, cluster_at, cluster_key, kClusterContext) &&
         holds(datagram, cluster_at - kSignatureBytes, beacon.key, kNodeContext);
}

BeaconJudge::Verdict BeaconJudge::judge(std::span<const std::byte> datagram, const TrustBook& book, NodeId self, std::uint64_t now) {
  std::optional<Beacon> beacon = read_beacon(datagram);
  const ClusterId wanted = book.cluster.raw == 0 && book.ticket ? book.ticket->cluster : book.cluster;
  if (!beacon || beacon->cluster != wanted || beacon->node == self) return {};
  if (book.cluster_key().is_none() || book.trust.is_revoked(beacon->key)) return {};
  if (std::find(nonces_.begin(), nonces_.end(), beacon->nonce) != nonces_.end()) return {};
  if (!signatures_hold(*beacon, datagram, book.cluster_key())) return {};
  nonces_.push_back(beacon->nonce);
  if (nonces_.size() > kRemembered) nonces_.pop_front();
  const std::string who = "node " + hex_id(beacon->node.raw) + " of this cluster is on this network";
  const std::uint64_t apart = std::max(now, beacon->time) - std::min(now, beacon->time);
  if (apart > kBeaconAgeSecondsMax) {
    return {{}, who + ", but its beacon is " + std::to_string(apart) + " s " + (beacon->time < now ? "old" : "ahead") +
                    " by this machine's clock: set both clocks, or give its address (--peer)"};
  }
  if (beacon->protocol_max < kProtocolMin || beacon->protocol_min > kProtocolMax) {
    return {{}, who + ", but speaks versions " + std::to_string(beacon->protocol_min) + " to " + std::to_string(beacon->protocol_max) +
                    " of the protocol, this one " + std::to_string(kProtocolMin) + " to " + std::to_string(kProtocolMax) +
                    "; install the same rse-node on both"};
  }
  return {std::move(beacon), {}};
}

}  // namespace rse
