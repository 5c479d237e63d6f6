#include "transport/codec/wire_scan.h"

namespace rse {
namespace {

using google::protobuf::FieldDescriptor;

// Protobuf's wire types; 3 and 4 are groups, 6 and 7 do not exist.
enum : std::uint32_t { kVarint = 0, kFixed64 = 1, kSized = 2, kFixed32 = 5 };

class WireReader {
 public:
  explicit WireReader(std::span<const std::byte> bytes) : bytes_(bytes) {}
  bool at_end() const { return bytes_.empty(); }
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

 private:
  std::span<const std::byte> bytes_;
};

}  // namespace

bool scan_wire(std::span<const std::byte> bytes, const google::protobuf::Descriptor& type,
               std::size_t& objects) {
  WireReader reader(bytes);
  while (!reader.at_end()) {
    std::uint64_t tag = 0;
    if (!reader.varint(tag) || tag >> 32 != 0 || tag >> 3 == 0) return false;
    const FieldDescriptor* field = type.FindFieldByNumber(static_cast<int>(tag >> 3));
    std::span<const std::byte> value;
    std::uint64_t number = 0;
    switch (tag & 7) {
      case kVarint:
        if (!reader.varint(number)) return false;
        break;
      case kFixed64:
        if (!reader.take(8, value)) return false;
        break;
      case kFixed32:
        if (!reader.take(4, value)) return false;
        break;
      case kSized:
        if (!reader.varint(number) || !reader.take(number, value)) return false;
        break;
      default:
        return false;
    }
    const bool sized = (tag & 7) == kSized;
    if (field != nullptr && !sized) continue;  // a number: it goes where there is room for it already
    if (objects == 0) return false;
    --objects;
    if (field == nullptr || field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
    if (!scan_wire(value, *field->message_type(), objects)) return false;
  }
  return true;
}

}  // namespace rse
