// Did the cluster compute what an undisturbed computer computes? Fetches the scenario, the recorded seals and the digests of a
// running cluster, runs the three tori again in this process, and compares each epoch and the state of each torus.
// Threads: one. Memory: three tori and the record. Errors: ControlFailure when the question could not be asked; a
// difference is an answer.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "node/control_client.h"
#include "torus/base/strong.h"

namespace rse {

struct VerifyReport {
  enum class Verdict : std::uint8_t { kIdentical, kDifferent, kIncomplete };
  Verdict verdict = Verdict::kIncomplete;
  std::string sentence;               // the verdict for a person
  std::uint64_t run = 0;
  std::uint64_t epochs_run = 0;       // of each torus, here
  std::uint64_t digests_compared = 0;
  std::uint64_t states_compared = 0;  // whole states by BLAKE2b-256, at most one a torus
  std::uint64_t injections = 0;
  std::uint64_t events = 0;
  std::uint64_t missing = 0;          // epochs of which no node within reach has a record
  std::optional<TorusId> torus;       // of the first difference
  std::uint64_t epoch = 0;
  std::string what;                   // "event digest", "projection", "state", "record"
  std::string alarm;                  // a conservation law that broke, in the cluster and here alike
  std::string cluster_value;
  std::string local_value;
  double seconds = 0;
};

struct VerifyOptions {
  std::vector<std::string> control;
  std::uint64_t epochs_max = 0;  // 0: as far as the record goes
  std::function<void(std::uint64_t done, std::uint64_t total)> progress;
};

std::optional<VerifyReport> verify_cluster(const VerifyOptions& options, ControlFailure& failure);
/// One JSON object, without a newline.
std::string to_json(const VerifyReport& report);

}  // namespace rse
