"""The machine's GCC as a compiler for the guest kernel: flags and nothing else. docs/internals/guest_kernel.md says why."""

load("@bazel_tools//tools/build_defs/cc:action_names.bzl", "ACTION_NAMES")
load("@bazel_tools//tools/cpp:cc_toolchain_config_lib.bzl", "feature", "flag_group", "flag_set", "tool_path")

_COMPILE = [
    ACTION_NAMES.assemble,
    ACTION_NAMES.preprocess_assemble,
    ACTION_NAMES.c_compile,
    ACTION_NAMES.cpp_compile,
    ACTION_NAMES.cpp_header_parsing,
]

_COMPILE_FLAGS = [
    "-O2",
    "-g1",
    "-Wall",
    "-Wextra",
    "-Wno-missing-field-initializers",
    "-Wno-maybe-uninitialized",
    "-march=x86-64",
    # For emulated processors, where a string instruction costs a jump and all its registers for each word, and a vector is words in
    # memory: large objects are copied and cleared by guest_kernel/runtime/memory_functions.cc, and no loop is made of vectors.
    "-mmemcpy-strategy=unrolled_loop:256:noalign,libcall:-1:noalign",
    "-mmemset-strategy=unrolled_loop:256:noalign,libcall:-1:noalign",
    "-fno-tree-vectorize",
    "-mcmodel=kernel",
    "-fno-pic",
    "-fno-pie",
    "-fno-stack-protector",
    "-fno-asynchronous-unwind-tables",
    # Reports walk the stack by frame pointers.
    "-fno-omit-frame-pointer",
    "-fno-optimize-sibling-calls",
    "-ffunction-sections",
    "-fdata-sections",
    "-fno-common",
    # The same binary from the same source, wherever it is built.
    "-fno-delete-null-pointer-checks",
    "-DRSE_GUEST_KERNEL",
    "-no-canonical-prefixes",
    "-Wno-builtin-macro-redefined",
    "-D__DATE__=\"\"",
    "-D__TIME__=\"\"",
    "-D__TIMESTAMP__=\"\"",
]

_CXX_FLAGS = [
    "-std=c++20",
    "-fno-exceptions",
    "-fno-rtti",
    # One thread initialises statics, before any other exists.
    "-fno-threadsafe-statics",
    # std::string and friends are instantiated here instead of dragging in libstdc++'s locales and streams.
    "-D_GLIBCXX_EXTERN_TEMPLATE=0",
]

_LINK_FLAGS = [
    "-nostdlib",
    "-static",
    "-no-pie",
    "-Wl,--gc-sections",
    "-Wl,--build-id=none",
    "-Wl,-z,max-page-size=4096",
    "-Wl,-z,noexecstack",
    "-Wl,--no-warn-rwx-segments",
]

def _feature(name, actions, flags):
    return feature(
        name = name,
        enabled = True,
        flag_sets = [flag_set(actions = actions, flag_groups = [flag_group(flags = flags)])],
    )

def _config_impl(ctx):
    return cc_common.create_cc_toolchain_config_info(
        ctx = ctx,
        toolchain_identifier = "guest_kernel",
        host_system_name = "local",
        target_system_name = "guest_kernel",
        target_cpu = "kernel",
        target_libc = "none",
        compiler = "gcc",
        abi_version = "none",
        abi_libc_version = "none",
        cxx_builtin_include_directories = ["/usr/lib/gcc", "/usr/include"],
        tool_paths = [
            tool_path(name = name, path = "/usr/bin/" + name)
            for name in ["ar", "cpp", "dwp", "gcc", "gcov", "ld", "nm", "objcopy", "objdump", "strip"]
        ],
        features = [
            _feature("kernel_compile", _COMPILE, _COMPILE_FLAGS),
            _feature("kernel_cxx", [ACTION_NAMES.cpp_compile, ACTION_NAMES.cpp_header_parsing], _CXX_FLAGS),
            _feature("kernel_link", [ACTION_NAMES.cpp_link_executable], _LINK_FLAGS),
        ],
    )

kernel_toolchain_config = rule(implementation = _config_impl, provides = [CcToolchainConfigInfo])
