// The failover measurement: three daemons on this machine, a load with a given size of state, a random daemon killed again
// and again; the time from SIGKILL to the first new epoch of its torus on a survivor.
// Threads: one. Memory: three tori while the scenario is sized. Errors: a sentence.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "torus/braid/scenario.h"

namespace rse {

struct FailoverOptions {
  int kills = 50;
  double state_megabytes = 16;  // of one torus, as its checkpoint has it
  std::uint64_t seed = 1;
  std::string binary;           // of rse-node; empty: found
  std::string directory;        // for the nodes' data and logs, kept; empty: temporary
  std::function<void(const std::string&)> progress;
};

struct FailoverTrial {
  std::string killed;
  std::string tori;
  // Milliseconds from SIGKILL, on the clock that all processes of the machine share; < 0: not seen.
  double lost = -1;
  double view = -1;
  double replaying = -1;
  double rebuilt = -1;
  double first_epoch = -1;
  double memory_megabytes = 0;  // resident, of the largest node, when all was whole before the kill
};

struct FailoverReport {
  std::vector<FailoverTrial> trials;
  double state_megabytes = 0;  // measured, at the start of the run
  bool verified = false;
  std::string verdict;         // of verify at the end
  std::string failure;         // empty: all trials were done
};

FailoverReport measure_failover(const FailoverOptions& options);
/// PHOLD in every cell of each torus plus edges that nothing uses, so that a checkpoint has about that size.
Scenario failover_scenario(double state_megabytes);
double quantile(std::vector<double> values, double share);
/// "Processor, N cores, Linux x.y".
std::string machine_text();
std::string date_text();

}  // namespace rse
