// The machine's one screen, with the font that the build puts into the image (font.S).
#include "guest_kernel/drivers/framebuffer_console.h"
#include "guest_kernel/memory/kernel_memory.h"
#include "guest_kernel/runtime/print.h"

extern "C" const std::byte console_font_begin[], console_font_end[];

namespace rse::kernel {
namespace {

FramebufferConsole console;

}  // namespace

const char* start_framebuffer(const Framebuffer& info) {
  if (info.address == 0) return "the loader set up no screen";
  Font font;
  if (!read_font({console_font_begin, console_font_end}, font)) return "the font in the image is not a PC Screen Font";
  const std::uint64_t size = std::uint64_t{info.pitch} * info.height;
  std::byte* const pixels = map_device({info.address, info.address + size}, PageCaching::kNormal);
  if (pixels == nullptr) return "there is no memory to map the screen";
  if (!console.start(info, {pixels, size}, font)) return "the loader's screen has an impossible size";
  add_console([](std::string_view text) { console.write(text); });
  return nullptr;
}

}  // namespace rse::kernel
