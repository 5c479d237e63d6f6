// What all nodes of a simulated cluster have published, checked as it comes in against three machines that run the same seals
// with no nodes around them. A difference, two packets for one epoch, two views of one number or a lost acknowledgement is a
// broken promise; the first one is kept as a sentence.
// Threads: one. Memory: every packet of the simulation.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/sim/machine_pool.h"

namespace rse::sim {

class History {
 public:
  explicit History(const Capacity& capacity) : capacity_(capacity) {}
  ~History();

  /// A scenario that may become a run.
  void offer(const Scenario& scenario);
  /// `resumed`: the newest resumption that the node knows of. A later one may replace what only disks could have kept.
  void note_sealed(const std::shared_ptr<const Packet>& packet, ViewNumber resumed);
  void note_view(NodeId node, const View& view);
  /// What a node's machine was when the node took a cut of it.
  struct Cut {
    RunId run;
    TorusId torus;
    CutNumber number = 0;
    RegionDigests digests;
    std::vector<Packet> sealed;  // the last epochs before it
    static Cut of(const TorusMachine& machine);
  };
  /// A cut that some node took, and has hashed. It counts if what the machine sealed last became history: what
  /// no second node held may still be taken back.
  void note_cut(Cut cut, const RegionDigests& digests, ViewNumber resumed);
  void note_request(const Injection& injection, TorusId torus);
  void note_answer(const InjectAnswer& answer);
  void fail(std::string what) {
    if (broken_.empty()) broken_ = std::move(what);
  }

  const std::string& broken() const { return broken_; }
  /// At the end: acknowledgements against seals, effects against seals.
  void check_clients();
  /// Compares the state of a node's machine with the reference, if that stands at the same epoch; whether it did.
  bool check_state(const TorusMachine& machine);

  RunId newest_run() const { return runs_.empty() ? RunId{} : RunId{runs_.rbegin()->first}; }
  /// The lowest of the three tori's last published epochs in the newest run.
  Epoch epoch() const;
  std::uint64_t epochs_checked() const { return epochs_checked_; }
  std::uint64_t rewinds() const { return rewinds_; }
  std::size_t acknowledged() const { return acknowledged_; }

 private:
  struct Entry {
    std::shared_ptr<const Packet> packet;
    ViewNumber resumed;
  };
  struct OfTorus {
    std::map<std::uint64_t, Entry> entries;      // by epoch
    std::multimap<CutNumber, Cut> cuts;          // of nodes, that the reference has not come to yet
    std::map<CutNumber, RegionDigests> states;   // of the reference, at each cut
    std::map<std::pair<std::uint64_t, std::uint64_t>, std::uint64_t> unsaid;  // injections of a rewound epoch, and that epoch
    TorusMachine* reference = nullptr;
  };
  struct Run {
    Scenario scenario;
    std::array<OfTorus, kTorusCount> tori;
    ViewNumber rewound;  // the newest resumption that changed history
    std::map<ViewNumber, CutNumber> resumed_at;
  };
  struct Request {
    Injection injection;
    TorusId torus;
    bool acknowledged = false;
    bool refused = false;
  };

  Run* run_of(RunId run);
  void load_references(RunId id, Run& run);
  void advance(Run& run);
  bool step(Run& run, TorusId torus);
  /// Whether that resumption began before `epoch`, which is therefore another one since.
  static bool takes_back(const Run& run, ViewNumber resumption, std::uint64_t epoch);
  void compare_cut(const OfTorus& of, const Cut& cut);
  void rewind(RunId id, Run& run, std::uint64_t epoch, ViewNumber resumed);

  const Capacity capacity_;
  std::map<Digest256, Scenario> offered_;
  std::map<std::uint64_t, Run> runs_;
  std::map<std::uint64_t, View> views_;
  std::map<std::pair<std::uint64_t, std::uint64_t>, Request> requests_;
  std::size_t acknowledged_ = 0;
  std::uint64_t epochs_checked_ = 0;
  std::uint64_t rewinds_ = 0;
  std::string broken_;
};

}  // namespace rse::sim
