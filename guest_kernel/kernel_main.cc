#include "guest_kernel/kernel_main.h"

#include "guest_kernel/drivers/framebuffer_console.h"
#include "guest_kernel/memory/kernel_memory.h"
#include "guest_kernel/node/node.h"
#include "guest_kernel/runtime/print.h"
#include "guest_kernel/torus/simulate.h"

namespace rse::kernel {

ExitCode kernel_main(const BootInfo& info, const Options& options) {
  if (info.framebuffer.address != 0) {
    if (const char* const wrong = start_framebuffer(info.framebuffer)) print_line("rse kernel: no picture: ", wrong);
    print_line("rse kernel: screen width=", info.framebuffer.width, " height=", info.framebuffer.height);
  }
  if (!options.node.empty()) return run_node(options);
  if (options.simulate == 0) {
    print_line("rse kernel: nothing to do; give node=NAME to take part in a braid, or a scenario module (qemu -initrd) and simulate=EPOCHS");
    return ExitCode::kDone;
  }
  if (info.module_count == 0) {
    print_line("rse kernel: simulate= needs a scenario; give one as a module (qemu -initrd FILE, GRUB module2 FILE)");
    return ExitCode::kFailed;
  }
  const PhysicalRange module = info.modules[0];
  return simulate({at_physical(module.begin), module.size()}, Epoch{options.simulate});
}

}  // namespace rse::kernel
