// RESTinio 0.6.16, for http_server.cc only: it takes seconds and half a gigabyte to compile.
// It uses three names that Asio calls old, and that ASIO_NO_DEPRECATED hides. They are shown to it here, and not much
// else: functions and a constant, so that Asio is laid out and compiled as in all other files of the program.
#pragma once

#include <asio/detail/config.hpp>

#undef ASIO_NO_DEPRECATED
#include <asio/ip/address.hpp>   // from_string()
#include <asio/socket_base.hpp>  // max_connections
#define ASIO_NO_DEPRECATED
#include <asio/buffer.hpp>

namespace asio {
template <class Pointer>
Pointer buffer_cast(const const_buffer& buffer) noexcept {
  return static_cast<Pointer>(buffer.data());
}
}  // namespace asio

#include <restinio/http_server.hpp>
#include <restinio/uri_helpers.hpp>
