// What the nodes within reach have recorded of the present run together, and that run again in this process: the scenario, fed with
// the recorded seals. For `rse verify`, `rse trace` and `rse replay`.
// Threads: one. Memory: the record, and three tori. Errors: ControlFailure when the nodes could not be asked.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "node/control_client.h"
#include "node/local_run.h"

namespace rse {

struct RecordedEpoch {
  std::uint64_t event_digest = 0;
  std::uint64_t projection = 0;  // first 8 bytes of projection_digest(), little-endian
  std::string node;              // that has it
};

struct RecordedState {
  std::uint64_t cut = 0;
  std::string digest;  // 32 bytes
  std::string node;
};

/// Two nodes that have recorded different digests for one epoch.
struct RecordConflict {
  TorusId torus;
  std::uint64_t epoch = 0;
  std::array<RecordedEpoch, 2> of;
};

struct RunRecord {
  std::uint64_t run = 0;
  Bytes scenario;
  Capacity capacity;
  std::uint64_t cut_epochs = kCutEpochsMax;
  std::array<std::map<std::uint64_t, RecordedEpoch>, kTorusCount> epochs;
  std::array<std::map<std::uint64_t, std::string>, kTorusCount> seals;
  std::array<std::optional<RecordedState>, kTorusCount> states;
  std::optional<RecordConflict> conflict;
  bool whole_seals = false;  // some node dropped none

  /// One past the last epoch that the records of all three tori reach.
  std::uint64_t end() const;
};

std::optional<RunRecord> collect_record(const std::vector<std::string>& control, ControlFailure& failure);

/// The first 8 bytes of the projection's digest, as recorded.
std::uint64_t short_digest(const Projection& projection);
enum class Agreement : std::uint8_t { kNotRecorded, kSame, kEventDigestDiffers, kProjectionDiffers };

/// The recorded run, executed here.
class RecordedRun {
 public:
  /// `record` has to outlive it.
  explicit RecordedRun(const RunRecord& record);
  bool load(ControlFailure& failure);
  LocalRun& run() { return run_; }
  /// What the record says about an epoch that was run here. Epochs in ascending order for each torus.
  Agreement compare(const Projection& projection);
  /// What is recorded for the epoch last compared; nullptr: nothing.
  const RecordedEpoch* recorded(TorusId torus) const { return found_[torus.raw]; }
  std::uint64_t injections() const;

 private:
  Seal seal_of(TorusId torus, Epoch epoch, bool must_be_empty);

  const RunRecord& record_;
  LocalRun run_;
  std::array<std::map<std::uint64_t, RecordedEpoch>::const_iterator, kTorusCount> epoch_at_;
  std::array<std::map<std::uint64_t, std::string>::const_iterator, kTorusCount> seal_at_;
  std::array<const RecordedEpoch*, kTorusCount> found_{};
  std::array<std::uint64_t, kTorusCount> injections_{};  // each written by its torus's thread
};

}  // namespace rse
