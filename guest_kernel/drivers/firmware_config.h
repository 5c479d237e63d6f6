// Files that whoever starts the machine hands to it: QEMU's fw_cfg device (docs/specs/fw_cfg of QEMU), by its two ports.
// `-fw_cfg name=opt/rse/NAME,file=PATH`: unlike the kernel's command line, what is in the file is seen by no other user of the host.
// Size: at most what the caller takes. Threads: one. Memory: the caller's. Errors: nullopt: there is no such file, or no such device.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "torus/base/bytes.h"

namespace rse::kernel {

/// A file that is larger than `size_max` counts as absent.
std::optional<Bytes> read_firmware_file(std::string_view name, std::size_t size_max);

}  // namespace rse::kernel
