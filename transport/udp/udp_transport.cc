#include "transport/udp/udp_transport.h"

#include "transport/udp/udp_host.h"

namespace rse {
namespace {

class UdpTransportFacade final : public UdpTransport {
 public:
  explicit UdpTransportFacade(std::shared_ptr<UdpHost> host) : host_(std::move(host)), core_(host_->core()) {}
  ~UdpTransportFacade() override { host_->stop(); }
  void set_hello(const Hello& hello) override { host_->set_hello(hello); }
  void set_trust(std::shared_ptr<const TrustBook> book) override { core_.set_trust(std::move(book)); }
  void dial(const std::string& address) override { core_.dial(address); }
  void undial(const std::string& address) override { core_.undial(address); }
  SendResult send_parts(NodeId peer, std::span<const SharedBytes> parts) override { return core_.send(peer, parts); }
  SendResult send_at_once(NodeId peer, std::span<const SharedBytes> parts) override { return core_.send_at_once(peer, parts); }
  bool has_room(NodeId peer) const override { return core_.has_room(peer); }
  std::optional<LinkProgress> progress(NodeId peer) const override { return core_.progress(peer); }
  void disconnect(NodeId peer) override { core_.disconnect(peer); }
  std::vector<LinkStats> stats() const override { return core_.stats(); }
  std::vector<std::uint16_t> bound_ports() const override { return host_->bound_ports(); }
  void stop() override { host_->stop(); }

 private:
  std::shared_ptr<UdpHost> host_;
  UdpCore& core_;
};

}  // namespace

std::unique_ptr<UdpTransport> make_udp_transport(asio::io_context& loop, const UdpOptions& options,
                                                 TransportCallbacks callbacks, std::string& error) {
  auto host = std::make_shared<UdpHost>(loop, options, std::move(callbacks));
  error = host->listen(options.listen);
  if (!error.empty()) {
    host->stop();
    return nullptr;
  }
  return std::make_unique<UdpTransportFacade>(std::move(host));
}

}  // namespace rse
