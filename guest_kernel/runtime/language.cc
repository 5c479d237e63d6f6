// What compiled C++ and Debian's static libraries expect of a system: allocation, ends of the world, and nothing else.
// libstdc++.a gives the red-black tree, libgcc.a arithmetic, libsodium.a cryptography (docs/internals/guest_kernel.md: why
// code built for user space may be linked here). A symbol that is missing at link is a reason to think, not to add it.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <typeinfo>

#include "guest_kernel/memory/heap.h"
#include "guest_kernel/runtime/panic.h"
#include "torus/base/assert.h"

using rse::kernel::panic;

void* operator new(std::size_t size) { return rse::kernel::allocate_or_panic(size); }
void* operator new[](std::size_t size) { return rse::kernel::allocate_or_panic(size); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return std::malloc(size); }
void operator delete(void* block) noexcept { std::free(block); }
void operator delete(void* block, std::size_t) noexcept { std::free(block); }
void operator delete[](void* block) noexcept { std::free(block); }
void operator delete[](void* block, std::size_t) noexcept { std::free(block); }
void operator delete(void* block, const std::nothrow_t&) noexcept { std::free(block); }

namespace std {

const nothrow_t nothrow{};

// The containers' complaints: bugs here, since sizes from outside are checked before.
void __throw_bad_alloc() { panic("C++", "bad_alloc"); }
void __throw_bad_array_new_length() { panic("C++", "bad_array_new_length"); }
void __throw_length_error(const char* what) { panic("C++ length_error", what); }
void __throw_logic_error(const char* what) { panic("C++ logic_error", what); }
void __throw_out_of_range(const char* what) { panic("C++ out_of_range", what); }
void __throw_out_of_range_fmt(const char* what, ...) { panic("C++ out_of_range", what); }
void __throw_bad_function_call() { panic("C++", "an empty std::function was called"); }
void __throw_bad_optional_access() { panic("C++", "an empty std::optional was read"); }

// std::make_shared's private tag, looked for only with RTTI.
struct _Sp_make_shared_tag {
  static bool _S_eq(const type_info&) noexcept;
};
bool _Sp_make_shared_tag::_S_eq(const type_info&) noexcept { return false; }

}  // namespace std

extern "C" {

void* __dso_handle = nullptr;
char __libc_single_threaded = 0;  // std::shared_ptr counts atomically: kernel threads are pre-empted

int __cxa_atexit(void (*)(void*), void*, void*) { return 0; }  // the kernel never returns from main
void __cxa_pure_virtual() { panic("C++", "a pure virtual function was called"); }
void abort() { panic("abort()", "called"); }
void __assert_fail(const char* condition, const char* file, unsigned line, const char*) {
  rse::assertion_failed(file, static_cast<int>(line), condition, "assert()");
}
void __stack_chk_fail() { panic("stack protector", "a library function wrote beyond its stack frame"); }

// libsodium's, so that its own versions, which want mmap() and threads, stay out of the link.
void sodium_misuse() { panic("libsodium", "misuse"); }
void sodium_memzero(void* const bytes, const std::size_t size) {
  std::memset(bytes, 0, size);
  asm volatile("" : : "r"(bytes) : "memory");
}
/// libsodium refers to these weakly: without a definition it would call address 0.
int sodium_runtime_has_aesni() { return 0; }
int sodium_runtime_has_pclmul() { return 0; }
/// In a time that does not depend on the bytes.
int sodium_memcmp(const void* const a, const void* const b, std::size_t size) {
  const auto* const left = static_cast<const volatile unsigned char*>(a);
  const auto* const right = static_cast<const volatile unsigned char*>(b);
  unsigned different = 0;
  while (size-- != 0) different |= static_cast<unsigned>(left[size] ^ right[size]);
  return different == 0 ? 0 : -1;
}
int sodium_is_zero(const unsigned char* bytes, std::size_t size) {
  const volatile unsigned char* const each = bytes;
  unsigned any = 0;
  while (size-- != 0) any |= each[size];
  return any == 0 ? 1 : 0;
}

int* __errno_location() {
  static int error = 0;
  return &error;
}

}  // extern "C"
