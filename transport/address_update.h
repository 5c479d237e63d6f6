// A node's addresses as they are now, where they have changed since it started: said beside the braid's messages, so that nodes
// without a link to it find it. Views keep the addresses of a life's beginning; nothing that a view or a torus decides reads this.
// Size: at most kUpdateFrameBytesMax encoded. Threads: any. Memory: the addresses. Errors: none.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <vector>

#include "torus/base/strong.h"
#include "torus/braid/view.h"

namespace rse {

inline constexpr std::size_t kUpdateFrameBytesMax = kAddressesMax * (kAddressBytesMax + 4) + 128;

/// Of two updates of a node the greater one is the newer.
struct AddressVersion {
  std::uint64_t incarnation = 0;  // the life of the node that has said it
  std::uint64_t number = 0;       // +1 with each change in that life, from 1
  friend auto operator<=>(const AddressVersion&, const AddressVersion&) = default;
};

struct AddressUpdate {
  NodeId node;
  AddressVersion version;
  std::vector<std::string> addresses;        // all of them, as in Member
  std::array<std::uint8_t, 64> signature{};  // by the node's key, over what transport/address_book.cc makes of the rest and the cluster
};

}  // namespace rse
