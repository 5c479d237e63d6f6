#include "torus/braid/view.h"

#include <algorithm>

namespace rse {
namespace {

constexpr std::uint32_t kViewFormat = 0x34565352;  // "RSV4", little-endian
constexpr std::size_t kVotersMax = 5;
constexpr std::size_t kMemberBytesMin = 8 + 8 + 4 + 4 + 1;

void put_string(ByteWriter& writer, const std::string& text) {
  writer.put_sized(std::as_bytes(std::span(text)));
}

std::string get_string(ByteReader& reader, std::size_t size_max) {
  const auto bytes = reader.get_sized(size_max);
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

void put_digest(ByteWriter& writer, const Digest256& digest) {
  writer.put_bytes(std::as_bytes(std::span(digest.bytes)));
}

Digest256 get_digest(ByteReader& reader) {
  Digest256 digest;
  const auto bytes = reader.get_bytes(digest.bytes.size());
  if (reader.ok()) std::memcpy(digest.bytes.data(), bytes.data(), bytes.size());
  return digest;
}

Member get_member(ByteReader& reader) {
  Member member;
  member.node = reader.get<NodeId>();
  member.incarnation = reader.get<std::uint64_t>();
  member.name = get_string(reader, kNodeNameBytesMax);
  const std::uint32_t count = reader.get_count(sizeof(std::uint32_t));
  if (count > kAddressesMax) reader.fail();
  for (std::uint32_t i = 0; reader.ok() && i < count; ++i) {
    member.addresses.push_back(get_string(reader, kAddressBytesMax));
  }
  const auto role = reader.get<std::uint8_t>();
  if (role > static_cast<std::uint8_t>(Role::kObserver)) reader.fail();
  member.role = static_cast<Role>(role);
  return member;
}

bool voters_are_valid(const View& view) {
  const std::size_t count = view.voters.size();
  if (count != 1 && count != 3 && count != 5) return false;
  for (std::size_t i = 0; i < count; ++i) {
    if (view.voters[i].raw == 0 || view.is_observer(view.voters[i])) return false;
    if (std::find(view.voters.begin(), view.voters.begin() + i, view.voters[i]) !=
        view.voters.begin() + i) {
      return false;
    }
  }
  return true;
}

bool members_are_valid(const View& view) {
  for (std::size_t i = 0; i < view.members.size(); ++i) {
    if (view.members[i].node.raw == 0) return false;
    if (view.find(view.members[i].node) != &view.members[i]) return false;  // twice
  }
  return true;
}

bool holders_are_valid(const View& view) {
  for (std::size_t i = 0; i < view.holders.size(); ++i) {
    if (view.holders[i].raw == 0 || view.is_observer(view.holders[i])) return false;
    if (std::count(view.holders.begin(), view.holders.end(), view.holders[i]) != 1) return false;
  }
  return view.holders_needed >= 1 && view.holders_needed <= view.holders.size();
}

}  // namespace

const Member* View::find(NodeId node) const {
  for (const Member& member : members) {
    if (member.node == node) return &member;
  }
  return nullptr;
}

bool View::is_member(NodeId node, std::uint64_t incarnation) const {
  const Member* member = find(node);
  return member != nullptr && member->incarnation == incarnation;
}

bool View::is_voter(NodeId node) const {
  return std::find(voters.begin(), voters.end(), node) != voters.end();
}

bool View::is_observer(NodeId node) const {
  const Member* member = find(node);
  return member != nullptr && member->role == Role::kObserver;
}

std::size_t View::host_count() const {
  return static_cast<std::size_t>(
      std::count_if(members.begin(), members.end(), [](const Member& member) { return member.role == Role::kHost; }));
}

std::size_t View::hosted_count(NodeId node) const {
  return static_cast<std::size_t>(std::count(hosts.begin(), hosts.end(), node));
}

std::vector<NodeId> View::distinct_hosts() const {
  std::vector<NodeId> distinct;
  for (NodeId host : hosts) {
    if (std::find(distinct.begin(), distinct.end(), host) == distinct.end()) distinct.push_back(host);
  }
  return distinct;
}

// Order of fields: format, cluster, number, run, scenario, run_since, resume_cut, resumed, resume_cut_since, members
// (node, incarnation, name, addresses, u8 role), voters, then hosts, hosted_since and homes of A, B, C, holders, holders_needed, trust
// (trust.cc).
// Counts and sizes are u32.
void encode_view(const View& view, Bytes& out) {
  ByteWriter writer(out);
  writer.put(kViewFormat);
  writer.put(view.cluster);
  writer.put(view.number);
  writer.put(view.run);
  put_digest(writer, view.scenario);
  writer.put(view.run_since);
  writer.put(view.resume_cut);
  writer.put(view.resumed);
  writer.put(view.resume_cut_since);
  writer.put(static_cast<std::uint32_t>(view.members.size()));
  for (const Member& member : view.members) {
    writer.put(member.node);
    writer.put(member.incarnation);
    put_string(writer, member.name);
    writer.put(static_cast<std::uint32_t>(member.addresses.size()));
    for (const std::string& address : member.addresses) put_string(writer, address);
    writer.put(static_cast<std::uint8_t>(member.role));
  }
  writer.put(static_cast<std::uint32_t>(view.voters.size()));
  for (NodeId voter : view.voters) writer.put(voter);
  for (NodeId host : view.hosts) writer.put(host);
  for (ViewNumber since : view.hosted_since) writer.put(since);
  for (NodeId home : view.homes) writer.put(home);
  writer.put(static_cast<std::uint32_t>(view.holders.size()));
  for (NodeId holder : view.holders) writer.put(holder);
  writer.put(view.holders_needed);
  encode_trust(view.trust, writer);
}

Result<View> decode_view(ByteReader& reader) {
  const auto format = reader.get<std::uint32_t>();
  if (!reader.ok()) return Error::kTruncated;
  if (format != kViewFormat) return Error::kUnknownVersion;
  View view;
  view.cluster = reader.get<ClusterId>();
  view.number = reader.get<ViewNumber>();
  view.run = reader.get<RunId>();
  view.scenario = get_digest(reader);
  view.run_since = reader.get<ViewNumber>();
  view.resume_cut = reader.get<std::uint64_t>();
  view.resumed = reader.get<ViewNumber>();
  view.resume_cut_since = reader.get<ViewNumber>();
  const std::uint32_t member_count = reader.get_count(kMemberBytesMin);
  if (!reader.ok()) return Error::kTruncated;
  if (member_count > kMembersMax) return Error::kTooLarge;
  view.members.reserve(member_count);
  for (std::uint32_t i = 0; reader.ok() && i < member_count; ++i) {
    view.members.push_back(get_member(reader));
  }
  const std::uint32_t voter_count = reader.get_count(sizeof(NodeId));
  if (!reader.ok()) return Error::kTruncated;
  if (voter_count > kVotersMax) return Error::kTooLarge;
  view.voters.reserve(voter_count);
  for (std::uint32_t i = 0; i < voter_count; ++i) view.voters.push_back(reader.get<NodeId>());
  for (NodeId& host : view.hosts) host = reader.get<NodeId>();
  for (ViewNumber& since : view.hosted_since) since = reader.get<ViewNumber>();
  for (NodeId& home : view.homes) home = reader.get<NodeId>();
  const std::uint32_t holder_count = reader.get_count(sizeof(NodeId));
  if (!reader.ok()) return Error::kTruncated;
  if (holder_count > kMembersMax) return Error::kTooLarge;
  view.holders.reserve(holder_count);
  for (std::uint32_t i = 0; i < holder_count; ++i) view.holders.push_back(reader.get<NodeId>());
  view.holders_needed = reader.get<std::uint32_t>();
  view.trust = decode_trust(reader);
  if (!reader.ok()) return Error::kTruncated;
  if (!members_are_valid(view) || !voters_are_valid(view)) return Error::kMalformed;
  for (NodeId host : view.hosts) {
    if (view.find(host) == nullptr || view.is_observer(host)) return Error::kMalformed;
  }
  if (!holders_are_valid(view)) return Error::kMalformed;
  return view;
}

}  // namespace rse
