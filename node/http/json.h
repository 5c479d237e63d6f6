// A message of the control API as the HTTP API writes it: names as in the schema, every field present.
// Threads, errors: none. Memory: the text.
#pragma once

#include <google/protobuf/message.h>

#include <string>

namespace rse {

std::string to_json(const google::protobuf::Message& message);

}  // namespace rse
