#include "node/discovery.h"

#include <algorithm>
#include <cstring>

#include "transport/clock.h"
#include "transport/secure/keys.h"
#include "transport/tcp/address.h"
#include "transport/transport.h"

namespace rse {
namespace {

constexpr Duration kSayInterval = milliseconds(1000);
constexpr Duration kRefreshInterval = milliseconds(5000);  // of the interfaces
constexpr Duration kHeardMemory = milliseconds(10'000);
constexpr std::size_t kHeardMax = 16;

bool can_be_dialled(const std::string& address) {
  if (address.starts_with("ivshmem:")) return false;  // of that machine
  return parse_network_address(address).has_value();
}

std::uint64_t random_number() {
  std::uint64_t number = 0;
  std::memcpy(&number, random_secret().bytes.data(), sizeof number);
  return number;
}

}  // namespace

Discovery::Discovery(asio::io_context& loop, std::vector<std::string> listen, Hooks hooks)
    : hooks_(std::move(hooks)),
      port_(std::make_shared<BeaconPort>(loop, std::move(listen),
                                         [this](const asio::ip::address& from, std::span<const std::byte> datagram) {
                                           on_datagram(from, datagram);
                                         })) {}

void Discovery::tick(Instant now, std::shared_ptr<const TrustBook> book, const Member& self, bool linked) {
  now_ = now;
  self_ = self.node;
  if (book && book->trust.has_seed() && now >= next_said_) {
    next_said_ = now + kSayInterval;
    book_ = book;
    say(self);
  }
  if (!book || linked) {
    book_.reset();
    heard_.clear();
    port_->stop_listening();
    next_refresh_ = {};
    return;
  }
  book_ = std::move(book);
  std::erase_if(heard_, [&](const auto& entry) { return elapsed(entry.second.at, now) > kHeardMemory; });
  if (now < next_refresh_) return;
  next_refresh_ = now + kRefreshInterval;
  port_->refresh();
}

void Discovery::say(const Member& self) {
  Beacon beacon{.protocol_min = kProtocolMin,
                .protocol_max = kProtocolMax,
                .cluster = book_->cluster,
                .node = self.node,
                .time = unix_seconds(),
                .nonce = random_number()};
  std::copy_if(self.addresses.begin(), self.addresses.end(), std::back_inserter(beacon.addresses), can_be_dialled);
  if (!beacon.addresses.empty()) port_->send(write_beacon(std::move(beacon), *book_));
}

/// What costs time is let in by the same gate as strangers' handshakes.
void Discovery::on_datagram(const asio::ip::address& from, std::span<const std::byte> datagram) {
  if (!book_ || !gate_.admit(host_of(from), now_)) return;
  BeaconJudge::Verdict verdict = judge_.judge(datagram, *book_, self_, unix_seconds());
  if (!verdict.why_not.empty()) return hooks_.failed(verdict.why_not);
  if (!verdict.beacon) return;
  std::erase_if(verdict.beacon->addresses, [](const std::string& address) { return !can_be_dialled(address); });
  const bool known = heard_.contains(verdict.beacon->node);
  if (!known && heard_.size() >= kHeardMax) return;
  heard_[verdict.beacon->node] = {verdict.beacon->addresses, now_};
  if (!known) hooks_.found(*verdict.beacon);
}

std::set<std::string> Discovery::addresses() const {
  std::set<std::string> all;
  for (const auto& [node, heard] : heard_) all.insert(heard.addresses.begin(), heard.addresses.end());
  return all;
}

}  // namespace rse
