#include "transport/codec/wire_scan.h"

#include "transport/codec/wire_reader.h"

namespace rse {
namespace {

using google::protobuf::FieldDescriptor;

}  // namespace

bool scan_wire(std::span<const std::byte> bytes, const google::protobuf::Descriptor& type,
               std::size_t& objects) {
  WireReader reader(bytes);
  while (!reader.at_end()) {
    WireField read;
    if (!reader.field(read)) return false;
    const FieldDescriptor* field = type.FindFieldByNumber(static_cast<int>(read.number));
    const bool sized = read.type == WireType::kSized;
    if (field != nullptr && !sized) continue;  // a number: it goes where there is room for it already
    if (objects == 0) return false;
    --objects;
    if (field == nullptr || field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
    if (!scan_wire(read.bytes, *field->message_type(), objects)) return false;
  }
  return true;
}

}  // namespace rse
