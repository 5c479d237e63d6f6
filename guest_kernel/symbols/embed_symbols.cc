// embed_symbols LINKED IMAGE: copies the kernel that the linker made and writes the names of its functions into the room
// that symbols/symbol_table.cc reserves. Format: symbol_table.h.
#include <cxxabi.h>
#include <elf.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "guest_kernel/memory/layout.h"
#include "guest_kernel/symbols/symbol_table.h"

namespace rse::kernel {
namespace {

[[noreturn]] void fail(const std::string& why) {
  std::fprintf(stderr, "embed_symbols: %s\n", why.c_str());
  std::exit(1);
}

/// The name as a person says it: demangled, without parameters, cut to a line's worth.
std::string spoken(const char* mangled) {
  int status = 0;
  char* const demangled = abi::__cxa_demangle(mangled, nullptr, nullptr, &status);
  std::string name = status == 0 ? demangled : mangled;
  std::free(demangled);
  int depth = 0;
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (name[i] == '<') ++depth;
    if (name[i] == '>') --depth;
    if (name[i] == '(' && depth == 0 && i != 0 && name.compare(i, 11, "(anonymous ") != 0) {
      name.resize(i);
      break;
    }
  }
  if (name.size() > kSymbolNameBytesMax) name.resize(kSymbolNameBytesMax);
  return name;
}

struct Elf {
  explicit Elf(std::vector<char>& bytes) : bytes(bytes) {
    if (bytes.size() < sizeof(Elf64_Ehdr) || std::memcmp(bytes.data(), ELFMAG, SELFMAG) != 0) fail("not an ELF file");
  }
  const Elf64_Ehdr& header() const { return *reinterpret_cast<const Elf64_Ehdr*>(bytes.data()); }
  const Elf64_Shdr& section(unsigned index) const {
    return reinterpret_cast<const Elf64_Shdr*>(bytes.data() + header().e_shoff)[index];
  }
  const Elf64_Shdr* find(const std::string& name) const {
    const Elf64_Shdr& names = section(header().e_shstrndx);
    for (unsigned i = 0; i < header().e_shnum; ++i) {
      if (name == bytes.data() + names.sh_offset + section(i).sh_name) return &section(i);
    }
    return nullptr;
  }
  std::vector<char>& bytes;
};

std::map<std::uint32_t, std::string> functions_of(const Elf& elf) {
  std::map<std::uint32_t, std::string> functions;
  const Elf64_Shdr* const symbols = elf.find(".symtab");
  if (symbols == nullptr) fail("the linked kernel has no symbols");
  const Elf64_Shdr& names = elf.section(symbols->sh_link);
  const auto* const first = reinterpret_cast<const Elf64_Sym*>(elf.bytes.data() + symbols->sh_offset);
  for (std::size_t i = 0; i < symbols->sh_size / sizeof(Elf64_Sym); ++i) {
    const Elf64_Sym& symbol = first[i];
    const bool is_code = ELF64_ST_TYPE(symbol.st_info) == STT_FUNC || symbol.st_size == 0;
    const char* const name = elf.bytes.data() + names.sh_offset + symbol.st_name;
    if (!is_code || symbol.st_value < kKernelBase || *name == 0 || ELF64_ST_TYPE(symbol.st_info) > STT_FUNC) continue;
    functions.emplace(static_cast<std::uint32_t>(symbol.st_value - kKernelBase), spoken(name));
  }
  return functions;
}

template <class T>
void append(std::vector<char>& out, const T& value) {
  out.insert(out.end(), reinterpret_cast<const char*>(&value), reinterpret_cast<const char*>(&value + 1));
}

std::vector<char> table_of(const std::map<std::uint32_t, std::string>& functions) {
  std::vector<char> table;
  std::string names;
  append(table, kSymbolTableMagic);
  append(table, static_cast<std::uint32_t>(functions.size()));
  for (const auto& [offset, name] : functions) {
    append(table, SymbolEntry{offset, static_cast<std::uint32_t>(names.size())});
    names += name;
    names += '\0';
  }
  table.insert(table.end(), names.begin(), names.end());
  return table;
}

}  // namespace
}  // namespace rse::kernel

int main(int count, char** words) {
  using namespace rse::kernel;
  if (count != 3) fail("usage: embed_symbols LINKED IMAGE");
  std::ifstream in(words[1], std::ios::binary);
  std::vector<char> bytes((std::istreambuf_iterator<char>(in)), {});
  const Elf elf(bytes);
  const Elf64_Shdr* const room = elf.find(".symbols");
  if (room == nullptr) fail(std::string(words[1]) + " has no section .symbols");
  const std::vector<char> table = table_of(functions_of(elf));
  if (table.size() > room->sh_size) {
    fail("the names take " + std::to_string(table.size()) + " bytes; raise kSymbolTableBytes in symbols/symbol_table.h");
  }
  std::memset(bytes.data() + room->sh_offset, 0, room->sh_size);
  std::copy(table.begin(), table.end(), bytes.begin() + static_cast<std::ptrdiff_t>(room->sh_offset));
  std::ofstream out(words[2], std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  if (!out) fail(std::string("cannot write ") + words[2]);
}
