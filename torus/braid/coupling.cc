#include "torus/braid/coupling.h"

namespace rse {

ConstraintCounts constraint_counts(std::span<const std::uint32_t, kFaceCellCount> face,
                                   Epoch epoch) {
  ConstraintCounts counts;
  for (std::size_t i = 0; i < counts.size(); ++i) counts[i] = face[constraint_cell(i, epoch)];
  return counts;
}

std::uint64_t apply_constraints(std::span<const std::uint32_t, kFaceCellCount> expected,
                                const ConstraintCounts& actual, Epoch epoch,
                                std::uint32_t tolerance, Torus& own) {
  const TorusId neighbour = previous_torus(own.id());
  std::uint64_t violations = 0;
  for (std::size_t i = 0; i < kConstraintsPerEpoch; ++i) {
    const std::uint32_t cell = constraint_cell(i, epoch);
    const std::int64_t difference = std::int64_t{expected[cell]} - std::int64_t{actual[i]};
    const std::int64_t distance = difference < 0 ? -difference : difference;
    if (distance <= std::int64_t{tolerance}) continue;
    ++violations;
    const std::int32_t payload = correction_of(difference);
    if (payload == 0) continue;
    const auto y = static_cast<std::int32_t>(cell / kSide);
    const auto z = static_cast<std::int32_t>(cell % kSide);
    own.deliver_corrective(cell_at(own.id(), kSide - 1, y, z), cell_at(neighbour, 0, y, z), payload);
  }
  return violations;
}

}  // namespace rse
