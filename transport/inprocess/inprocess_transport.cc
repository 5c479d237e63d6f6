#include "transport/inprocess/inprocess_transport.h"

#include <asio/post.hpp>

#include <algorithm>
#include <map>
#include <set>

#include "torus/braid/messages.h"
#include "transport/handshake.h"

namespace rse {
namespace {

/// What the transport and the handlers on their way share.
struct Endpoint {
  std::string address;
  TransportCallbacks callbacks;
  Hello hello;
  bool started = false, stopped = false;
  std::set<std::string> dialled;
  std::set<std::string> failures;  // told already; forgotten when something changes
  std::map<NodeId, LinkStats> stats;
};
using EndpointPtr = std::shared_ptr<Endpoint>;

struct Link {
  EndpointPtr ends[2];
  std::size_t queued[2] = {0, 0};  // towards that end
  bool up = true;
  std::size_t side_of(const EndpointPtr& end) const { return ends[0] == end ? 0 : 1; }
};
using LinkPtr = std::shared_ptr<Link>;

}  // namespace

struct InProcessHub::State : std::enable_shared_from_this<State> {
  State(asio::io_context& loop, std::size_t queue_bytes_max) : loop(loop), queue_bytes_max(queue_bytes_max) {}

  LinkPtr find(const EndpointPtr& end, NodeId peer) const {
    for (const LinkPtr& link : links) {
      if (link->ends[0] != end && link->ends[1] != end) continue;
      if (link->ends[1 - link->side_of(end)]->hello.self.node == peer) return link;
    }
    return nullptr;
  }
  static std::pair<std::string, std::string> pair_of(const std::string& a, const std::string& b) {
    return a < b ? std::pair{a, b} : std::pair{b, a};
  }

  /// Connects, from the event loop, whoever dials someone and is not connected with it.
  void connect_soon() {
    asio::post(loop, [self = shared_from_this()] {
      const auto all = self->endpoints;
      for (const EndpointPtr& from : all) {
        const auto dialled = from->dialled;
        for (const std::string& address : dialled) self->connect(from, address);
      }
    });
  }

  void connect(const EndpointPtr& from, const std::string& address) {
    if (!from->started || from->stopped || cuts.contains(pair_of(from->address, address))) return;
    const auto found = std::find_if(endpoints.begin(), endpoints.end(), [&address](const EndpointPtr& end) {
      return end->address == address && end->started && !end->stopped;
    });
    if (found == endpoints.end()) {
      return fail(from, address, "cannot reach " + address + ": nothing listens there; start it or correct the address");
    }
    const EndpointPtr to = *found;
    if (find(from, to->hello.self.node)) return;
    std::string why;
    switch (judge_hello(from->hello, to->hello, address, why)) {
      case HelloVerdict::kOurselves: from->dialled.erase(address); return;
      case HelloVerdict::kRefused: return fail(from, address, why);
      case HelloVerdict::kWelcome: break;
    }
    auto link = std::make_shared<Link>();
    link->ends[0] = from;
    link->ends[1] = to;
    links.push_back(link);
    for (std::size_t side = 0; side < 2; ++side) {
      const Hello peer = link->ends[1 - side]->hello;
      Endpoint& end = *link->ends[side];
      LinkStats& stats = end.stats[peer.self.node];
      if (!stats.transport.empty()) ++stats.reconnects;
      stats.peer = peer.self.node;
      stats.transport = "in-process";
      stats.address = link->ends[1 - side]->address;
      end.failures.clear();
      if (link->up && !end.stopped) end.callbacks.on_up(peer);
    }
  }

  void fail(const EndpointPtr& end, const std::string& address, const std::string& why) {
    if (end->failures.insert(why).second) end->callbacks.on_failure(address, why);
  }

  void close(const LinkPtr& link, bool proof_of_death) {
    if (!std::exchange(link->up, false)) return;
    std::erase(links, link);
    for (std::size_t side = 0; side < 2; ++side) {
      asio::post(loop, [end = link->ends[side], peer = link->ends[1 - side]->hello.self.node, proof_of_death] {
        if (!end->stopped) end->callbacks.on_down(peer, proof_of_death);
      });
    }
    connect_soon();
  }

  void close_all(const EndpointPtr& end, bool proof_of_death) {
    const auto all = links;
    for (const LinkPtr& link : all) {
      if (link->ends[0] == end || link->ends[1] == end) close(link, proof_of_death);
    }
  }

  SendResult send(const EndpointPtr& from, NodeId to, Bytes message) {
    if (message.size() > kMessageBytesMax) return SendResult::kTooLarge;
    const LinkPtr link = find(from, to);
    if (!link) return SendResult::kNoLink;
    const std::size_t side = 1 - link->side_of(from);
    LinkStats& stats = from->stats[to];
    if (link->queued[side] + message.size() > queue_bytes_max) {
      ++stats.messages_dropped;
      return SendResult::kQueueFull;
    }
    link->queued[side] += message.size();
    ++stats.messages_sent;
    stats.bytes_sent += message.size();
    asio::post(loop, [link, side, bytes = std::move(message)] {
      link->queued[side] -= bytes.size();
      const EndpointPtr end = link->ends[side];
      if (!link->up || end->stopped) return;
      const NodeId sender = link->ends[1 - side]->hello.self.node;
      LinkStats& received = end->stats[sender];
      ++received.messages_received;
      received.bytes_received += bytes.size();
      end->callbacks.on_message(sender, bytes);
    });
    return SendResult::kQueued;
  }

  asio::io_context& loop;
  std::size_t queue_bytes_max;
  std::vector<EndpointPtr> endpoints;
  std::vector<LinkPtr> links;
  std::set<std::pair<std::string, std::string>> cuts;
};

class InProcessEndpoint final : public Transport {
 public:
  InProcessEndpoint(std::shared_ptr<InProcessHub::State> hub, EndpointPtr end)
      : hub_(std::move(hub)), end_(std::move(end)) {}
  ~InProcessEndpoint() override { stop(); }
  void set_hello(const Hello& hello) override {
    end_->hello = hello;
    end_->started = true;
    end_->failures.clear();
    hub_->connect_soon();
  }
  void set_trust(std::shared_ptr<const TrustBook>) override {}  // nobody else is in this process
  void dial(const std::string& address) override {
    if (end_->dialled.insert(address).second) hub_->connect_soon();
  }
  void undial(const std::string& address) override { end_->dialled.erase(address); }
  SendResult send_parts(NodeId peer, std::span<const SharedBytes> parts) override {
    return end_->stopped ? SendResult::kNoLink : hub_->send(end_, peer, join(parts));
  }
  bool has_room(NodeId) const override { return true; }  // nothing urgent is faster than the loop
  void disconnect(NodeId peer) override {
    if (const LinkPtr link = hub_->find(end_, peer)) hub_->close(link, false);
  }
  std::vector<LinkStats> stats() const override {
    std::vector<LinkStats> all;
    for (const auto& [node, stats] : end_->stats) {
      const LinkPtr link = hub_->find(end_, node);
      LinkStats& one = all.emplace_back(stats);
      one.connected = link != nullptr;
      one.queued_bytes = link ? link->queued[1 - link->side_of(end_)] : 0;
    }
    return all;
  }
  void stop() override {
    if (std::exchange(end_->stopped, true)) return;
    std::erase(hub_->endpoints, end_);
    hub_->close_all(end_, true);
  }

 private:
  std::shared_ptr<InProcessHub::State> hub_;
  EndpointPtr end_;
};

InProcessHub::InProcessHub(asio::io_context& loop, std::size_t queue_bytes_max)
    : state_(std::make_shared<State>(loop, queue_bytes_max)) {}
InProcessHub::~InProcessHub() = default;

std::unique_ptr<Transport> InProcessHub::make_endpoint(const std::string& address, TransportCallbacks callbacks) {
  auto end = std::make_shared<Endpoint>();
  end->address = address;
  end->callbacks = std::move(callbacks);
  state_->endpoints.push_back(end);
  return std::make_unique<InProcessEndpoint>(state_, end);
}

void InProcessHub::cut(const std::string& a, const std::string& b) {
  state_->cuts.insert(State::pair_of(a, b));
  const auto all = state_->links;
  for (const LinkPtr& link : all) {
    if (State::pair_of(link->ends[0]->address, link->ends[1]->address) == State::pair_of(a, b)) state_->close(link, false);
  }
}

void InProcessHub::heal(const std::string& a, const std::string& b) {
  state_->cuts.erase(State::pair_of(a, b));
  state_->connect_soon();
}

}  // namespace rse
