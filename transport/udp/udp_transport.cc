#include "transport/udp/udp_transport.h"

#include "transport/udp/udp_core.h"

namespace rse {
namespace {

class UdpTransportFacade final : public UdpTransport {
 public:
  explicit UdpTransportFacade(std::shared_ptr<UdpCore> core) : core_(std::move(core)) {}
  ~UdpTransportFacade() override { core_->stop(); }
  void set_hello(const Hello& hello) override { core_->set_hello(hello); }
  void set_trust(std::shared_ptr<const TrustBook> book) override { core_->set_trust(std::move(book)); }
  void dial(const std::string& address) override { core_->dial(address); }
  void undial(const std::string& address) override { core_->undial(address); }
  SendResult send_parts(NodeId peer, std::span<const SharedBytes> parts) override { return core_->send(peer, parts); }
  SendResult send_at_once(NodeId peer, std::span<const SharedBytes> parts) override { return core_->send_at_once(peer, parts); }
  bool has_room(NodeId peer) const override { return core_->has_room(peer); }
  std::optional<LinkProgress> progress(NodeId peer) const override { return core_->progress(peer); }
  void disconnect(NodeId peer) override { core_->disconnect(peer); }
  std::vector<LinkStats> stats() const override { return core_->stats(); }
  std::vector<std::uint16_t> bound_ports() const override { return core_->bound_ports(); }
  void stop() override { core_->stop(); }

 private:
  std::shared_ptr<UdpCore> core_;
};

}  // namespace

std::unique_ptr<UdpTransport> make_udp_transport(asio::io_context& loop, const UdpOptions& options,
                                                 TransportCallbacks callbacks, std::string& error) {
  auto core = std::make_shared<UdpCore>(loop, options, std::move(callbacks));
  error = core->listen(options.listen);
  if (!error.empty()) {
    core->stop();
    return nullptr;
  }
  return std::make_unique<UdpTransportFacade>(std::move(core));
}

}  // namespace rse
