// memcpy() and its family, which the compiler calls by name.
// Words in general registers: under emulation a string instruction costs a jump and all its registers for each word, and a
// vector's halves go through memory; on processors this is nearly as fast as the best.
#include <cstddef>
#include <cstdint>

namespace {

using Word = std::uint64_t;
constexpr std::size_t kWordBytes = sizeof(Word);
constexpr std::size_t kBlockBytes = 4 * kWordBytes;

template <class T>
T load(const unsigned char* from) {
  T value;
  __builtin_memcpy(&value, from, sizeof value);
  return value;
}
template <class T>
void store(unsigned char* to, T value) {
  __builtin_memcpy(to, &value, sizeof value);
}
/// Or GCC makes a call of the very function out of the loop that it is in.
void keep_loop() { asm volatile("" : : : "memory"); }

}  // namespace

extern "C" {

void* memcpy(void* to, const void* from, std::size_t size) {
  auto* out = static_cast<unsigned char*>(to);
  const auto* in = static_cast<const unsigned char*>(from);
  for (; size >= kBlockBytes; size -= kBlockBytes, in += kBlockBytes, out += kBlockBytes) {
    Word a = load<Word>(in);
    Word b = load<Word>(in + kWordBytes);
    Word c = load<Word>(in + 2 * kWordBytes);
    Word d = load<Word>(in + 3 * kWordBytes);
    asm volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d));
    store(out, a);
    store(out + kWordBytes, b);
    store(out + 2 * kWordBytes, c);
    store(out + 3 * kWordBytes, d);
  }
  for (; size >= kWordBytes; size -= kWordBytes, in += kWordBytes, out += kWordBytes) {
    keep_loop();
    store(out, load<Word>(in));
  }
  if ((size & 4) != 0) {
    store(out, load<std::uint32_t>(in));
    in += 4;
    out += 4;
  }
  if ((size & 2) != 0) {
    store(out, load<std::uint16_t>(in));
    in += 2;
    out += 2;
  }
  if ((size & 1) != 0) *out = *in;
  return to;
}

void* memmove(void* to, const void* from, std::size_t size) {
  const auto distance = reinterpret_cast<std::uintptr_t>(to) - reinterpret_cast<std::uintptr_t>(from);
  if (distance >= size) return memcpy(to, from, size);  // also when `to` is below
  // Backwards, without the direction flag: handlers and libraries rely on it being clear.
  auto* const out = static_cast<unsigned char*>(to);
  const auto* const in = static_cast<const unsigned char*>(from);
  while (size >= kWordBytes) {
    size -= kWordBytes;
    keep_loop();
    store(out + size, load<Word>(in + size));
  }
  while (size != 0) {
    --size;
    keep_loop();
    out[size] = in[size];
  }
  return to;
}

void* memset(void* to, int byte, std::size_t size) {
  auto* out = static_cast<unsigned char*>(to);
  Word pattern = 0x0101010101010101 * static_cast<unsigned char>(byte);
  for (; size >= kBlockBytes; size -= kBlockBytes, out += kBlockBytes) {
    asm volatile("" : "+r"(pattern));
    store(out, pattern);
    store(out + kWordBytes, pattern);
    asm volatile("" : "+r"(pattern));
    store(out + 2 * kWordBytes, pattern);
    store(out + 3 * kWordBytes, pattern);
  }
  for (; size >= kWordBytes; size -= kWordBytes, out += kWordBytes) {
    keep_loop();
    store(out, pattern);
  }
  for (; size != 0; --size, ++out) {
    keep_loop();
    *out = static_cast<unsigned char>(byte);
  }
  return to;
}

int memcmp(const void* a, const void* b, std::size_t size) {
  const auto* left = static_cast<const unsigned char*>(a);
  const auto* right = static_cast<const unsigned char*>(b);
  for (; size >= kWordBytes; size -= kWordBytes, left += kWordBytes, right += kWordBytes) {
    const Word x = load<Word>(left);
    const Word y = load<Word>(right);
    if (x == y) continue;
    return __builtin_bswap64(x) < __builtin_bswap64(y) ? -1 : 1;
  }
  for (; size != 0; --size, ++left, ++right) {
    if (*left != *right) return *left < *right ? -1 : 1;
  }
  return 0;
}

void* memchr(const void* bytes, int byte, std::size_t size) {
  const auto* place = static_cast<const unsigned char*>(bytes);
  for (; size != 0; --size, ++place) {
    if (*place == static_cast<unsigned char>(byte)) return const_cast<unsigned char*>(place);
  }
  return nullptr;
}

std::size_t strlen(const char* text) {
  const char* end = text;
  while (*end != 0) {
    keep_loop();
    ++end;
  }
  return static_cast<std::size_t>(end - text);
}

char* strchr(const char* text, int letter) {
  for (;; ++text) {
    if (*text == static_cast<char>(letter)) return const_cast<char*>(text);
    if (*text == 0) return nullptr;
  }
}

}  // extern "C"
