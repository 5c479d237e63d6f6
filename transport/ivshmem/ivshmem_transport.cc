#include "transport/ivshmem/ivshmem_transport.h"

#include "transport/ivshmem/ivshmem_core.h"

namespace rse {
namespace {

class IvshmemTransport final : public Transport {
 public:
  explicit IvshmemTransport(std::shared_ptr<IvshmemCore> core) : core_(std::move(core)) {}
  ~IvshmemTransport() override { core_->stop(); }
  void set_hello(const Hello& hello) override { core_->set_hello(hello); }
  void set_trust(std::shared_ptr<const TrustBook> book) override { core_->set_trust(std::move(book)); }
  void dial(const std::string& address) override { core_->dial(address); }
  void undial(const std::string& address) override { core_->undial(address); }
  SendResult send_parts(NodeId peer, std::span<const SharedBytes> parts) override {
    return parts.size() == 1 ? core_->send(peer, parts.front().bytes) : core_->send(peer, join(parts));
  }
  SendResult send_at_once(NodeId peer, std::span<const SharedBytes> parts) override {
    return parts.size() == 1 ? core_->send_at_once(peer, parts.front().bytes) : core_->send_at_once(peer, join(parts));
  }
  bool has_room(NodeId peer) const override { return core_->has_room(peer); }
  std::optional<LinkProgress> progress(NodeId peer) const override { return core_->progress(peer); }
  void disconnect(NodeId peer) override { core_->disconnect(peer); }
  std::vector<LinkStats> stats() const override { return core_->stats(); }
  void stop() override { core_->stop(); }

 private:
  std::shared_ptr<IvshmemCore> core_;
};

}  // namespace

std::unique_ptr<Transport> make_ivshmem_transport(asio::io_context& loop, const IvshmemOptions& options,
                                                  TransportCallbacks callbacks, std::string& error) {
  auto core = std::make_shared<IvshmemCore>(loop, options, std::move(callbacks));
  error = options.listen.empty() ? std::string() : core->listen(options.listen);
  if (!error.empty()) {
    core->stop();
    return nullptr;
  }
  return std::make_unique<IvshmemTransport>(std::move(core));
}

}  // namespace rse
