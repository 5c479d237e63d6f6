// What people may see of the tori: of those hosted here by looking at them, of others by asking their hosts. Outside the
// braid: it reads the view, sends what may be lost, and changes nothing that an epoch computes. A torus that nobody looks at
// costs nothing.
// Size: some 200 KiB for a torus hosted here once it was looked at, 16 KiB for another's. Threads: the caller's; sans-I/O.
// Memory: its own; counts of an epoch that is watched are written by whoever runs it. Errors: what is hostile or out of
// place is dropped. Invariant: at most one answer each kAnswerGap and one question each kQuestionGap, of each torus.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <vector>

#include "torus/braid/view.h"
#include "torus/engine/torus.h"
#include "torus/watch/cell_activity.h"
#include "torus/watch/lattice_sight.h"

namespace rse {

inline constexpr Duration kLookGap = milliseconds(100);      // between epochs that are watched
inline constexpr Duration kLookOn = milliseconds(3000);      // after the last question
inline constexpr Duration kAnswerGap = milliseconds(50);     // whoever asks
inline constexpr Duration kQuestionGap = milliseconds(250);  // to the host of a torus
inline constexpr Duration kSightFresh = milliseconds(3000);  // of another's torus

class LatticeWatch {
 public:
  explicit LatticeWatch(NodeId self) : self_(self) {}

  /// A torus hosted here has run an epoch and stands at its end, until this returns.
  void on_boundary(Instant now, const Torus& torus);
  /// From a node that is linked. An answer has to be sent back to it, unless there is no room.
  std::optional<LatticeSight> on_sight(Instant now, NodeId from, LatticeSight sight, const View& view);

  /// Somebody on this machine looks at `torus`. nullopt: nothing is known of it now, ask again in a moment.
  std::optional<LatticeSight> look(Instant now, TorusId torus, const View& view);
  /// What has to be sent to the host of `torus`, so that the next look() has something new; nullopt: nothing now.
  std::optional<LatticeSight> question(Instant now, TorusId torus, const View& view);

 private:
  struct Counting {
    CellActivity activity;
    std::array<std::uint32_t, kCellCount> counts{};  // of the epoch that is being watched
  };
  struct Here {
    std::unique_ptr<Counting> counting;  // stays once it is there: a machine may still write to it
    bool counted = false;                // since somebody began to look
    std::uint64_t corrective = 0;
    std::optional<Instant> wanted, looked, answered;
  };
  struct There {
    LatticeSight sight;
    NodeId host{};  // that said it
    std::optional<Instant> seen, asked;
  };
  static bool since(std::optional<Instant> then, Duration so_long, Instant now) { return !then || elapsed(*then, now) >= so_long; }
  std::optional<LatticeSight> here(Instant now, TorusId torus);

  NodeId self_;
  std::array<Here, kTorusCount> here_;
  std::array<There, kTorusCount> there_;
};

}  // namespace rse
