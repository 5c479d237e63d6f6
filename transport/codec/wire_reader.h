// Protobuf bytes a field at a time, without an object for any of them.
// Threads, memory: none; fields are views of the bytes. Errors: false, once and for all, at the first byte that is wrong.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace rse {

enum class WireType : std::uint8_t { kVarint = 0, kFixed64 = 1, kSized = 2, kFixed32 = 5 };  // 3, 4: groups, refused

struct WireField {
  std::uint32_t number = 0;
  WireType type{};
  std::uint64_t value = 0;           // kVarint
  std::span<const std::byte> bytes;  // the value's, of the other types
};

class WireReader {
 public:
  explicit WireReader(std::span<const std::byte> bytes) : bytes_(bytes) {}
  bool at_end() const { return bytes_.empty(); }

  bool field(WireField& out) {
    std::uint64_t tag = 0;
    if (!varint(tag) || tag >> 32 != 0 || tag >> 3 == 0) return false;
    out.number = static_cast<std::uint32_t>(tag >> 3);
    switch (tag & 7) {
      case 0: out.type = WireType::kVarint; break;
      case 1: out.type = WireType::kFixed64; break;
      case 2: out.type = WireType::kSized; break;
      case 5: out.type = WireType::kFixed32; break;
      default: return false;
    }
    return value(out);
  }

 private:
  bool value(WireField& out) {
    out.value = 0;
    out.bytes = {};
    std::uint64_t size = 0;
    switch (out.type) {
      case WireType::kVarint: return varint(out.value);
      case WireType::kFixed64: return take(8, out.bytes);
      case WireType::kFixed32: return take(4, out.bytes);
      case WireType::kSized: return varint(size) && take(size, out.bytes);
    }
    return false;
  }
  bool varint(std::uint64_t& value) {
    value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (bytes_.empty()) return false;
      const auto byte = std::to_integer<std::uint64_t>(bytes_.front());
      bytes_ = bytes_.subspan(1);
      value |= (byte & 0x7F) << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }
  bool take(std::uint64_t size, std::span<const std::byte>& taken) {
    if (size > bytes_.size()) return false;
    taken = bytes_.first(size);
    bytes_ = bytes_.subspan(size);
    return true;
  }

  std::span<const std::byte> bytes_;
};

}  // namespace rse
