// Bytes that travel from where they were made to a socket without being copied: a view, and what keeps it alive.
// Threads: any; what is shared does not change. Memory: the owner's. Errors: none.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "torus/base/bytes.h"

namespace rse {

struct SharedBytes {
  std::span<const std::byte> bytes;
  std::shared_ptr<const void> owner;  // null: lent, for as long as the call that hands them over

  SharedBytes() = default;
  /// Lent by the caller.
  explicit SharedBytes(std::span<const std::byte> lent) : bytes(lent) {}
  SharedBytes(std::span<const std::byte> view, std::shared_ptr<const void> keeps) : bytes(view), owner(std::move(keeps)) {}
  /// For whoever needs them after the call: a copy, unless they are kept alive already.
  SharedBytes kept() const {
    if (owner || bytes.empty()) return *this;
    auto copy = std::make_shared<const Bytes>(bytes.begin(), bytes.end());
    return {std::span<const std::byte>(*copy), copy};
  }
};

/// For whoever needs one piece.
inline Bytes join(std::span<const SharedBytes> parts) {
  Bytes whole;
  for (const SharedBytes& part : parts) whole.insert(whole.end(), part.bytes.begin(), part.bytes.end());
  return whole;
}

}  // namespace rse
