#include "node/node_key.h"

#include <fmt/format.h>
#include <sodium/utils.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <span>

#include "node/storage/file_system.h"
#include "torus/base/digest.h"

namespace rse {
namespace {

constexpr char kName[] = "key";
constexpr std::uint64_t kMagic = 0x0A3179656B455352;  // "RSEkey1\n"
constexpr std::size_t kSumBytes = 8;                  // against rot, not against forgers
constexpr std::size_t kFileBytes = 8 + 32 + kSumBytes;

void wipe(Bytes& bytes) { sodium_memzero(bytes.data(), bytes.size()); }

}  // namespace

std::optional<NodeKey> read_node_key(const std::string& directory, std::string& failure) {
  const std::string path = directory + "/" + kName;
  struct stat about {};
  if (::stat(path.c_str(), &about) != 0) {
    if (errno != ENOENT) failure = fmt::format("cannot look at {}: {}; make it readable for this user", path, std::strerror(errno));
    return std::nullopt;
  }
  if ((about.st_mode & 077) != 0) {
    failure = fmt::format("{} may be read by others (mode {:04o}), who could then pose as this node: chmod 600 it, and where somebody may "
                          "have copied it, rse forget this node and give it an empty --data-dir",
                          path, about.st_mode & 07777);
    return std::nullopt;
  }
  auto bytes = real_file_system(directory)->read(kName);
  if (!bytes) {
    failure = fmt::format("cannot read {}: {}; make it readable for this user", path, std::strerror(errno));
    return std::nullopt;
  }
  const std::span<const std::byte> body = std::span(*bytes).first(std::min(bytes->size(), kFileBytes - kSumBytes));
  const Digest256 digest = digest_of(body);
  const bool whole = bytes->size() == kFileBytes && std::memcmp(bytes->data(), &kMagic, sizeof kMagic) == 0 &&
                     std::memcmp(digest.bytes.data(), bytes->data() + body.size(), kSumBytes) == 0;
  SecretKey seed;
  if (whole) std::memcpy(seed.bytes.data(), bytes->data() + sizeof kMagic, seed.bytes.size());
  wipe(*bytes);
  if (whole) return NodeKey(seed);
  failure = path + " is damaged: its checksum does not fit; restore it from a backup, or start with an empty --data-dir and a ticket";
  return std::nullopt;
}

std::optional<NodeKey> make_node_key(const std::string& directory, std::string& failure) {
  const NodeKey key = NodeKey::generate();
  Bytes bytes;
  bytes.reserve(kFileBytes);
  ByteWriter writer(bytes);
  writer.put(kMagic);
  writer.put_bytes(std::as_bytes(std::span(key.seed().bytes)));
  const Digest256 digest = digest_of(bytes);
  writer.put_bytes(std::as_bytes(std::span(digest.bytes)).first(kSumBytes));
  const auto files = real_file_system(directory);
  const auto error = replace_file(*files, kName, bytes);
  wipe(bytes);
  if (!error) return key;
  failure = error->text;
  return std::nullopt;
}

}  // namespace rse
