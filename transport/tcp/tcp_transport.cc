#include "transport/tcp/tcp_transport.h"

#include "transport/tcp/tcp_core.h"

namespace rse {
namespace {

class TcpTransportFacade final : public TcpTransport {
 public:
  explicit TcpTransportFacade(std::shared_ptr<TcpCore> core) : core_(std::move(core)) {}
  ~TcpTransportFacade() override { core_->stop(); }
  void set_hello(const Hello& hello) override { core_->set_hello(hello); }
  void set_trust(std::shared_ptr<const TrustBook> book) override { core_->set_trust(std::move(book)); }
  void dial(const std::string& address) override { core_->dial(address); }
  void undial(const std::string& address) override { core_->undial(address); }
  SendResult send_parts(NodeId peer, std::span<const SharedBytes> parts) override { return core_->send(peer, parts); }
  bool has_room(NodeId peer) const override { return core_->has_room(peer); }
  std::optional<LinkProgress> progress(NodeId peer) const override { return core_->progress(peer); }
  void disconnect(NodeId peer) override { core_->disconnect(peer); }
  void on_addresses_changed() override { core_->on_addresses_changed(); }
  std::vector<LinkStats> stats() const override { return core_->stats(); }
  std::vector<std::uint16_t> bound_ports() const override { return core_->bound_ports(); }
  void stop() override { core_->stop(); }

 private:
  std::shared_ptr<TcpCore> core_;
};

}  // namespace

std::unique_ptr<TcpTransport> make_tcp_transport(asio::io_context& loop, const TcpOptions& options,
                                                 TransportCallbacks callbacks, std::string& error) {
  auto core = std::make_shared<TcpCore>(loop, options, std::move(callbacks));
  error = core->listen(options.listen);
  if (!error.empty()) {
    core->stop();
    return nullptr;
  }
  return std::make_unique<TcpTransportFacade>(std::move(core));
}

}  // namespace rse
