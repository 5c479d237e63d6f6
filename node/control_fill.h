// From what the shell reports to the messages of the control API.
// Threads: none. Memory: the message's. Errors: none.
#pragma once

#include <string>

#include "node/shell.h"
#include "proto/rse/v1/control.pb.h"

namespace rse {

void set_error(v1::ControlReply& reply, v1::ControlError::Code code, std::string text);
void fill(const LinkStats& stats, v1::LinkStatus& out);
void fill(const View& view, v1::ViewInfo& out);
void fill(TorusId id, const TorusStatus& torus, v1::TorusStatus& out);
void fill(const PeerStatus& peer, v1::PeerStatus& out);
void fill(const Incident& incident, v1::IncidentRecord& out);
v1::StatusReply::Health to_proto(Health health);

}  // namespace rse
