// Transport over shared memory between processes of one machine (and guests that map the same file): everybody in the memory
// is everybody's peer, so to listen and to dial are the same thing: to take part.
// Address: ivshmem_address.h. Spec of the memory: ring.md. After a session begins each side sends its Hello
// (transport/handshake.h); one ring a pair and one opener of sessions, so there is nothing to claim or grant.
// Threads: all calls and callbacks on the io_context's single thread; callbacks come from its handlers, never from inside
// a call. Memory: kIvshmemQueueBytesMax (links.h) each peer beside the rings. Errors: see transport.h.
// Proof of death: the kernel has released the lock of the peer's slot, or the peer has said that it leaves.
#pragma once

#include <asio/io_context.hpp>

#include <chrono>
#include <memory>
#include <string>

#include "transport/transport.h"

namespace rse {

struct IvshmemOptions {
  std::string listen;  // taken part in from the start; empty: in what is dialled first
  std::chrono::milliseconds handshake_limit{2000};
  Duration spin{};  // how long to look for the next message before sleeping (adaptive_spin.h)
  std::shared_ptr<const TrustBook> trust{};  // null: of an open cluster
};

/// One memory for each transport: once it takes part in one, dialling another is a failure that is told.
/// nullptr: `error` is a sentence that names the address, the cause and the next step.
std::unique_ptr<Transport> make_ivshmem_transport(asio::io_context& loop, const IvshmemOptions& options,
                                                  TransportCallbacks callbacks, std::string& error);

}  // namespace rse
