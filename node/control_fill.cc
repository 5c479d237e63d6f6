#include "node/control_fill.h"

namespace rse {

void set_error(v1::ControlReply& reply, v1::ControlError::Code code, std::string text) {
  reply.mutable_error()->set_code(code);
  reply.mutable_error()->set_text(std::move(text));
}

namespace {

v1::LinkStatus::Use to_proto(LinkUse use) {
  switch (use) {
    case LinkUse::kInUse: return v1::LinkStatus::IN_USE;
    case LinkUse::kSpare: return v1::LinkStatus::SPARE;
    case LinkUse::kSilent: return v1::LinkStatus::SILENT;
    case LinkUse::kSlow: return v1::LinkStatus::SLOW;
  }
  return v1::LinkStatus::IN_USE;
}

}  // namespace

void fill(const LinkStats& stats, v1::LinkStatus& out) {
  out.set_peer(stats.peer.raw);
  out.set_transport(stats.transport);
  out.set_address(stats.address);
  out.set_connected(stats.connected);
  out.set_bytes_sent(stats.bytes_sent);
  out.set_bytes_received(stats.bytes_received);
  out.set_messages_sent(stats.messages_sent);
  out.set_messages_received(stats.messages_received);
  out.set_messages_dropped(stats.messages_dropped);
  out.set_reconnects(stats.reconnects);
  out.set_queued_bytes(stats.queued_bytes);
  out.set_cipher(stats.cipher);
  out.set_packets_sent(stats.packets_sent);
  out.set_packets_lost(stats.packets_lost);
  out.set_use(to_proto(stats.use));
  out.set_silence_nanoseconds(stats.silence_nanoseconds);
}

void fill(const View& view, v1::ViewInfo& out) {
  out.set_cluster(view.cluster.raw);
  out.set_number(view.number.raw);
  out.set_run(view.run.raw);
  for (const Member& member : view.members) {
    v1::ViewMember& to = *out.add_members();
    to.set_node(member.node.raw);
    to.set_incarnation(member.incarnation);
    to.set_name(member.name);
    for (const std::string& address : member.addresses) to.add_addresses(address);
    to.set_observer(member.role == Role::kObserver);
  }
  for (const NodeId voter : view.voters) out.add_voters(voter.raw);
  for (const NodeId host : view.hosts) out.add_hosts(host.raw);
  for (const NodeId home : view.homes) out.add_homes(home.raw);
  for (const ViewNumber since : view.hosted_since) out.add_hosted_since(since.raw);
  out.set_resume_cut(view.resume_cut);
  out.set_resumed(view.resumed.raw);
  for (const NodeId holder : view.holders) out.add_holders(holder.raw);
  out.set_holders_needed(view.holders_needed);
  for (const Admitted& admitted : view.trust.admitted) out.add_admitted(admitted.node.raw);
}

void fill(TorusId id, const TorusStatus& torus, v1::TorusStatus& out) {
  out.set_torus(id.raw);
  out.set_host(torus.host.raw);
  out.set_epoch(torus.epoch.raw);
  out.set_end_tick(torus.end_tick.raw);
  out.set_events(torus.events);
  out.set_pending(torus.pending);
  out.set_refused(torus.refused);
  out.set_processes(torus.processes);
  out.set_event_digest(torus.event_digest);
  out.set_cut_durable(torus.cut_durable);
  out.set_hosted_here(torus.hosted_here);
  out.set_running(torus.running);
  out.set_progress(torus.progress);
  out.set_regions_restored(torus.regions_restored);
  out.set_regions_to_restore(torus.regions_to_restore);
  out.set_epochs_replayed(torus.epochs_replayed);
  out.set_epochs_to_replay(torus.epochs_to_replay);
}

void fill(const PeerStatus& peer, v1::PeerStatus& out) {
  out.set_node(peer.node.raw);
  out.set_name(peer.name);
  out.set_member(peer.member);
  out.set_voter(peer.voter);
  out.set_linked(peer.linked);
  out.set_suspected(peer.suspected);
  out.set_silence_nanoseconds(peer.silence.raw);
  out.set_via(peer.via.raw);
}

void fill(const Incident& incident, v1::IncidentRecord& out) {
  out.set_kind(static_cast<v1::IncidentRecord::Kind>(incident.kind));
  out.set_at_nanoseconds(incident.at.raw);
  out.set_unix_nanoseconds(incident.unix_nanoseconds);
  out.set_node(incident.node.raw);
  if (incident.torus) out.set_torus(incident.torus->raw);
  out.set_epoch(incident.epoch.raw);
  out.set_text(incident.text);
  out.set_by(incident.by.raw);
}

v1::StatusReply::Health to_proto(Health health) {
  switch (health) {
    case Health::kHealthy: return v1::StatusReply::HEALTHY;
    case Health::kUnprotected: return v1::StatusReply::UNPROTECTED;
    case Health::kRebuilding: return v1::StatusReply::REBUILDING;
    case Health::kStopped: return v1::StatusReply::STOPPED;
    case Health::kJoining: return v1::StatusReply::JOINING;
  }
  return v1::StatusReply::STOPPED;
}

}  // namespace rse
