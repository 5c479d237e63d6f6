// PublicKey: an Ed25519 public key, which is who a node is to the others. Size: 32 bytes. All zero: none.
#pragma once

#include <array>
#include <compare>
#include <cstdint>

namespace rse {

struct PublicKey {
  std::array<std::uint8_t, 32> bytes{};
  auto operator<=>(const PublicKey&) const = default;
  bool is_none() const { return *this == PublicKey{}; }
};

}  // namespace rse
