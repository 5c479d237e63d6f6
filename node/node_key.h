// The file `key` in a data directory: the secret half of a node's identity. It is made at the node's first start, and a directory
// that has one is of an encrypted cluster. Layout: node/storage/format.md.
// Threads: one. Errors: sentences. Invariant: only its owner may read the file; its bytes go nowhere else.
#pragma once

#include <optional>
#include <string>

#include "transport/secure/keys.h"

namespace rse {

/// nullopt with `failure` empty: there is none. Of a file that others may read nothing is taken: who has copied it can pose as this
/// node.
std::optional<NodeKey> read_node_key(const std::string& directory, std::string& failure);
/// A new one, durably. nullopt: `failure` says why.
std::optional<NodeKey> make_node_key(const std::string& directory, std::string& failure);

}  // namespace rse
