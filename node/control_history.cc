// What the node has kept of the past.
#include "node/control_fill.h"
#include "node/control_session.h"

namespace rse {

void ControlServer::keep_history(std::unique_ptr<HistoryStore> store, std::function<void(const std::string&)> warn) {
  if (const std::string failure = store->set_owner(shell_.self().node.raw, shell_.self().name); !failure.empty()) warn(failure);
  history_ = std::make_unique<History>(
      loop_, std::move(store), History::Hooks{[this](v1::StatusReply& reply) { status(reply); }, std::move(warn)});
  for (const Incident& incident : shell_.incidents()) {  // of the start, before there was a history
    v1::IncidentRecord record;
    fill(incident, record);
    history_->note(std::move(record));
  }
}

void ControlServer::history(const std::shared_ptr<Session>& session, std::uint64_t id, const v1::HistoryRequest& request) {
  v1::ControlReply reply;
  reply.set_id(id);
  if (!history_) {
    return session->refuse(reply, v1::ControlError::REFUSED,
                           "this node keeps no history; one that has a data directory (--data-dir) does");
  }
  const bool asked = history_->read(request, [session, reply](v1::HistoryReply past, const std::string& failure) mutable {
    if (!failure.empty()) return session->refuse(reply, v1::ControlError::NOT_READY, failure);
    *reply.mutable_history() = std::move(past);
    session->reply(reply);
  });
  if (!asked) session->refuse(reply, v1::ControlError::NOT_READY, "too many questions about the past wait; ask again");
}

}  // namespace rse
