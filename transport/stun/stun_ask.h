// Asks a STUN server which address this machine has outside, by a socket on the address that will be listened on; before the
// event loop runs. Threads: the caller's, which waits. Memory: small. Errors: a sentence.
#pragma once

#include <asio/ip/udp.hpp>

#include <chrono>
#include <string>

namespace rse {

struct PublicAddress {
  asio::ip::udp::endpoint server;
  asio::ip::udp::endpoint mapped;
};

/// `listen`: "udp:HOST:PORT", which is given back before this returns; `server`: "HOST:PORT". Empty: `found` is set.
std::string ask_stun(const std::string& listen, const std::string& server, std::chrono::milliseconds limit, PublicAddress& found);

}  // namespace rse
