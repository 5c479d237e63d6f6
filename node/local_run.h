// Three tori in this process, without network or failures: what a cluster computes when nothing happens to it. Used by
// `rse simulate`, by tests and to verify what a cluster did.
// Threads: the caller's, or one for each torus during run(). Memory: three arenas and a few packets.
// Errors: load() says why not; run() cannot fail. Invariant: the number of threads changes nothing but the time taken.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>

#include "torus/base/cut_epochs.h"
#include "torus/braid/torus_machine.h"

namespace rse {

enum class RunThreads : std::uint8_t { kOne, kThree };
enum class Leaps : std::uint8_t { kTaken, kNever };

class LocalRun {
 public:
  struct Options {
    RunId run{1};
    Capacity capacity;
    std::uint64_t cut_epochs = kCutEpochsMax;
    RunThreads threads = RunThreads::kThree;
    Leaps leaps = Leaps::kTaken;
  };
  using EpochPackets = std::array<const Packet*, kTorusCount>;  // by torus
  /// The recorded seal of `torus` at the end of `epoch`. Called from any of the threads, for one torus in order; has to be
  /// empty where `must_be_empty`.
  using SealSource = std::function<Seal(TorusId torus, Epoch epoch, bool must_be_empty)>;
  /// After each epoch that was run, in order, when all three tori have sealed it; never two calls at a time.
  using EpochCallback = std::function<void(Epoch epoch, const EpochPackets& packets)>;

  explicit LocalRun(const Options& options);
  ~LocalRun();

  /// Starts `scenario` at epoch 0. False: `failure` says which torus refused what.
  bool load(const Scenario& scenario, std::string& failure);
  void set_seal_source(SealSource source);
  void set_epoch_callback(EpochCallback callback);

  /// Runs on until `epochs` epochs have passed since the start. A leap that would pass them stops there, in the state that
  /// running every epoch would have given.
  void run(Epoch epochs);

  TorusMachine& machine(TorusId torus);
  const TorusMachine& machine(TorusId torus) const;
  /// The first conservation law found broken, as a sentence; empty: none.
  std::string alarm() const;
  /// Real time spent in run(), without loading.
  double seconds() const;

 private:
  struct Exchange;
  void run_in_turn();
  void run_on_threads();
  void run_next_epoch(TorusId torus);

  Options options_;
  std::array<std::unique_ptr<TorusMachine>, kTorusCount> machines_;
  std::unique_ptr<Exchange> exchange_;
  SealSource seal_source_;
  Epoch epochs_;
  std::array<std::string, kTorusCount> alarms_;  // by torus: its own first one
  double seconds_ = 0;
};

}  // namespace rse
