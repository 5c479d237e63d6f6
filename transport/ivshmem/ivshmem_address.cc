#include "transport/ivshmem/ivshmem_address.h"

#include <bit>
#include <charconv>
#include <fstream>
#include <string_view>

#include "transport/handshake.h"
#include "transport/ivshmem/layout.h"

namespace rse {
namespace {

constexpr std::string_view kScheme = "ivshmem:";
constexpr std::string_view kFolder = "/dev/shm/";
constexpr std::uint64_t kSizeMegabytesMax = 4096;
constexpr std::size_t kPathBytesMax = 200;  // with what is added it fits a view's addresses

std::optional<std::uint64_t> number(std::string_view text, int base, std::uint64_t maximum) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc{} || end != text.data() + text.size() || value > maximum) return std::nullopt;
  return value;
}

bool set_option(IvshmemAddress& address, std::string_view name, std::string_view value, std::string& why) {
  if (name == "slot") {
    const auto slot = number(value, 10, kParticipantsMax - 1);
    if (slot) address.slot = static_cast<std::uint32_t>(*slot);
    if (!slot) why = "slot is 0 to " + std::to_string(kParticipantsMax - 1);
  } else if (name == "size-mb") {
    const auto size = number(value, 10, kSizeMegabytesMax);
    if (size && std::has_single_bit(*size)) address.region_bytes = *size << 20;
    else why = "size-mb is a power of two of 1 to " + std::to_string(kSizeMegabytesMax);
  } else if (name == "machine") {
    const auto machine = number(value, 16, ~std::uint64_t{0});
    if (machine) address.machine = *machine;
    else why = "machine is 16 hexadecimal digits";
  } else {
    why = "there is no option \"" + std::string(name) + "\"; there are slot, size-mb and machine";
  }
  return why.empty();
}

}  // namespace

bool is_ivshmem_address(const std::string& text) { return text.starts_with(kScheme); }

std::optional<IvshmemAddress> parse_ivshmem_address(const std::string& text, std::string& why) {
  const auto refuse = [&](const std::string& cause) {
    why = text + ": " + cause + "; write for example ivshmem:rse or ivshmem:/dev/shm/rse?size-mb=64";
    return std::nullopt;
  };
  if (!is_ivshmem_address(text)) return refuse("this is no address of shared memory");
  std::string_view rest = std::string_view(text).substr(kScheme.size());
  std::string_view options;
  if (const std::size_t mark = rest.find('?'); mark != std::string_view::npos) {
    options = rest.substr(mark + 1);
    rest = rest.substr(0, mark);
  }
  if (rest.empty()) return refuse("the name is missing");
  if (rest.size() > kPathBytesMax) return refuse("the name is longer than " + std::to_string(kPathBytesMax) + " bytes");
  IvshmemAddress address;
  const bool is_path = rest.find('/') != std::string_view::npos;
  if (is_path && rest.front() != '/') return refuse("a path has to begin with /");
  address.path = is_path ? std::string(rest) : std::string(kFolder) + std::string(rest);
  while (!options.empty()) {
    const std::string_view option = options.substr(0, options.find('&'));
    options.remove_prefix(std::min(option.size() + 1, options.size()));
    const std::size_t equals = std::min(option.find('='), option.size());
    std::string wrong;
    if (!set_option(address, option.substr(0, equals), option.substr(std::min(equals + 1, option.size())), wrong))
      return refuse(wrong);
  }
  return address;
}

std::string advertised_text(const IvshmemAddress& address) {
  return std::string(kScheme) + address.path + "?machine=" + hex_id(this_machine());
}

std::uint64_t this_machine() {
  static const std::uint64_t machine = [] {
    std::ifstream file("/proc/sys/kernel/random/boot_id");
    std::string text;
    std::getline(file, text);
    std::erase(text, '-');
    return number(std::string_view(text).substr(0, 16), 16, ~std::uint64_t{0}).value_or(1) | 1;
  }();
  return machine;
}

}  // namespace rse
