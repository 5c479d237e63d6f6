// What an image does once the machine is in order. Each kernel_image links one definition.
#pragma once

#include "guest_kernel/boot/boot_info.h"
#include "guest_kernel/boot/options.h"
#include "guest_kernel/runtime/panic.h"

namespace rse::kernel {

/// Interrupts are on, the heap is there; what is returned ends the run.
ExitCode kernel_main(const BootInfo& info, const Options& options);

}  // namespace rse::kernel
