#include "torus/braid/messages.h"

namespace rse {

Envelope kept(Envelope envelope) {
  const auto keep = [](std::vector<RegionPiece>& pieces) {
    for (RegionPiece& piece : pieces) piece.bytes = piece.bytes.kept();
  };
  if (auto* part = std::get_if<ShardPart>(&envelope.message)) keep(part->pieces);
  if (auto* regions = std::get_if<GatherRegions>(&envelope.message)) keep(regions->pieces);
  return envelope;
}

}  // namespace rse
