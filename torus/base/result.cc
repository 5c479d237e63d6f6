#include "torus/base/result.h"

namespace rse {

const char* to_string(Error error) {
  switch (error) {
    case Error::kTooLarge: return "too large";
    case Error::kTruncated: return "truncated";
    case Error::kMalformed: return "malformed";
    case Error::kUnknownVersion: return "unknown version";
    case Error::kDigestMismatch: return "digest mismatch";
    case Error::kWrongTorus: return "wrong torus";
    case Error::kWrongSource: return "wrong source";
    case Error::kForeignEvent: return "event of a foreign cell";
    case Error::kQueueFull: return "event queue full";
    case Error::kEdgesFull: return "edge pool full";
    case Error::kProcessesFull: return "process pool full";
    case Error::kOutboxFull: return "outbox full";
    case Error::kUnknownProgram: return "unknown program";
    case Error::kBadArguments: return "bad program arguments";
    case Error::kBadDelay: return "delay outside 1..2^32-1";
    case Error::kTimeOverflow: return "time beyond 2^64-1";
    case Error::kNotAtBoundary: return "not at an epoch boundary";
    case Error::kNotFound: return "not found";
  }
  return "unknown error";
}

}  // namespace rse
