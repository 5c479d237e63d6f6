#include "torus/base/keep_freed_memory.h"

#include <malloc.h>

namespace rse {

void keep_freed_memory() {
  ::mallopt(M_MMAP_THRESHOLD, 32 << 20);
  ::mallopt(M_TRIM_THRESHOLD, 128 << 20);
}

}  // namespace rse
