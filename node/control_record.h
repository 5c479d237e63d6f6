// What `rse verify` replays: of the current run, the digests of each torus at each epoch and every seal that is not empty.
// Kept by each node from what it sees; written beside the data directory's files so that it outlives the process.
// Size: a ring of kRecordEpochsMax digests a torus and kRecordSealBytesMax of seals; what was dropped is said.
// Threads: one. Errors: a damaged file is cut off at the damage. Invariant: of two entries for one torus and epoch the
// later one counts, and takes everything after it along: after the loss of all nodes the braid repeats epochs.
//
// File: frames of {u32 size, u64 check (first 8 bytes of BLAKE2b-256), payload}; a payload is a sequence of entries
// {u64 run, u8 torus, u64 epoch, u64 event digest, 8 bytes of the projection's digest, u32 size, seal (encode_seal)}; an
// empty seal has size 0. A torn last frame is ignored.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "torus/braid/braid_node.h"

namespace rse {

inline constexpr std::size_t kRecordEpochsMax = 1u << 18;
inline constexpr std::size_t kRecordSealBytesMax = 64u << 20;
inline constexpr std::size_t kRecordFileBytesMax = 256u << 20;

class SealRecord {
 public:
  struct Entry {
    Epoch epoch;
    std::uint64_t event_digest = 0;
    std::uint64_t projection = 0;  // first 8 bytes of projection_digest(), little-endian
  };
  /// Takes a packet of poll_sealed(); appends its bytes to what take_unwritten() returns.
  void add(const Packet& packet);
  /// Reads back what was written by an earlier life of this node; returns how many bytes of it are whole.
  std::size_t load(std::span<const std::byte> file);

  /// Bytes for the file since the last call. `restart`: the file starts again with them.
  Bytes take_unwritten(bool& restart);
  bool has_unwritten() const { return !unwritten_.empty() || restart_; }

  RunId run() const { return run_; }
  /// Entries of a torus from `from` on, in epoch order, at most `count_max`; with the seals, where not empty.
  struct Page {
    std::vector<Entry> entries;
    std::map<std::uint64_t, Bytes> seals;  // by epoch, encode_seal()
    bool more = false;
    std::uint64_t digests_dropped = 0;  // older epochs that the ring has lost
    bool seals_dropped = false;         // then a replay is not possible from this node's record alone
  };
  Page page(TorusId torus, Epoch from, std::size_t count_max) const;

 private:
  struct OfTorus {
    std::deque<Entry> entries;
    std::map<std::uint64_t, Bytes> seals;
    std::uint64_t dropped = 0;
  };
  void put(RunId run, TorusId torus, const Entry& entry, std::span<const std::byte> seal);
  void begin_run(RunId run);

  RunId run_;
  std::array<OfTorus, kTorusCount> tori_;
  std::size_t seal_bytes_ = 0;
  bool seals_dropped_ = false;
  Bytes unwritten_;
  bool restart_ = false;
  std::size_t file_bytes_ = 0;
};

}  // namespace rse
