#include "guest_kernel/kernel_main.h"

#include "guest_kernel/runtime/print.h"

namespace rse::kernel {

ExitCode kernel_main(const BootInfo&, const Options&) {
  print_line("rse kernel: nothing to do; give a scenario module and simulate=EPOCHS");
  return ExitCode::kDone;
}

}  // namespace rse::kernel
