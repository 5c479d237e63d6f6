// Looks at the cells of tori hosted here while somebody asks for them.
#include <fmt/format.h>

#include "node/control_fill.h"
#include "node/control_server.h"

namespace rse {
namespace {

constexpr std::chrono::milliseconds kLookPeriod{50};
constexpr Duration kLookOn = milliseconds(3000);  // after the last question

}  // namespace

void ControlServer::cells(v1::ControlReply& reply, const v1::CellsRequest& request) {
  if (request.torus() >= kTorusCount) return set_error(reply, v1::ControlError::BAD_REQUEST, "tori are A, B and C");
  const TorusId torus{static_cast<std::uint8_t>(request.torus())};
  if (shell_.view().hosts[torus.raw] != shell_.self().node) {
    return set_error(reply, v1::ControlError::REFUSED,
                     fmt::format("torus {} is not hosted by this node; ask its host", letter_of(torus)));
  }
  CellLook& look = looks_[torus.raw];
  look.asked = monotonic_now();
  if (!look.timer) {
    look.timer = std::make_unique<asio::steady_timer>(loop_);
    look_at_cells(torus);
  }
  reply.mutable_cells()->set_levels(look.activity.levels());
  reply.mutable_cells()->set_corrective(look.corrective);
}

/// The epoch that was watched has ended when its torus is at a boundary again.
void ControlServer::look_at_cells(TorusId torus) {
  CellLook& look = looks_[torus.raw];
  if (elapsed(look.asked, monotonic_now()) > kLookOn) return look.timer.reset();
  look.timer->expires_after(kLookPeriod);
  look.timer->async_wait([this, torus](const std::error_code& error) {
    if (error) return;
    shell_.read_machine(torus, [this, torus](const TorusMachine* machine) {
      CellLook& here = looks_[torus.raw];
      if (!here.timer) return;
      if (machine != nullptr) {
        here.corrective = machine->torus().counters().corrective;
        here.activity.note(std::span<const std::uint32_t, kCellCount>(here.counts));
        here.counts.assign(kCellCount, 0);
        machine->torus().watch(here.counts.data());
      }
      look_at_cells(torus);
    });
  });
}

}  // namespace rse
