#include "transport/stun/stun_keeper.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "transport/monotonic_clock.h"

namespace rse {
namespace {

/// NATs forget after 30 s and more (RFC 4787, REQ-5, asks for two minutes).
constexpr Duration kInterval = milliseconds(15'000);

}  // namespace

void StunKeeper::stop() {
  stopped_ = true;
  timer_.cancel();
}

void StunKeeper::tick() {
  const Instant now = monotonic_now();
  if (!client_ || client_->state() != StunClient::State::kAsking) client_.emplace(random_stun_transaction(), now);
  if (const auto question = client_->poll_send(now)) hooks_.send(*question);
  wait(elapsed(now, std::min(now + kInterval, client_->next_deadline().value_or(now + kInterval))));
}

void StunKeeper::wait(Duration time) {
  timer_.expires_after(std::chrono::nanoseconds(time.raw));
  timer_.async_wait([self = shared_from_this()](const std::error_code& cancelled) {
    if (!cancelled && !self->stopped_) self->tick();
  });
}

void StunKeeper::on_datagram(std::span<const std::byte> datagram) {
  if (!client_ || client_->state() != StunClient::State::kAsking || !client_->on_datagram(datagram)) return;
  wait(kInterval);
  if (client_->state() != StunClient::State::kAnswered) return;
  const auto before = std::exchange(mapped_, client_->mapped());
  if (before && *before != client_->mapped()) hooks_.changed(*before, client_->mapped());
}

}  // namespace rse
