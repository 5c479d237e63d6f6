// For programs through which regions, messages and packets of up to some megabytes go many times a second. Given back to the
// kernel each time, their pages are zeroed and faulted in anew: that was half of a busy node's time.
// Threads: before there are others. Errors: none.
#pragma once

namespace rse {

/// What is freed stays with the process, up to 128 MB at the end of its heap; what is kept is bounded by the peak.
void keep_freed_memory();

}  // namespace rse
