"""kernel_image: one bootable ELF64 from C++ libraries, built by the kernel's own toolchain."""

def _transition_impl(_settings, _attr):
    return {
        "//command_line_option:crosstool_top": "//guest_kernel/toolchain:suite",
        "//command_line_option:cpu": "kernel",
        "//command_line_option:dynamic_mode": "off",
        "//command_line_option:copt": [],
        "//command_line_option:cxxopt": [],
        "//command_line_option:linkopt": [],
        "//command_line_option:features": [],
    }

_kernel_transition = transition(
    implementation = _transition_impl,
    inputs = [],
    outputs = ["//command_line_option:" + option for option in [
        "crosstool_top",
        "cpu",
        "dynamic_mode",
        "copt",
        "cxxopt",
        "linkopt",
        "features",
    ]],
)

def _kernel_image_impl(ctx):
    image = ctx.actions.declare_file(ctx.label.name)
    linked = ctx.files.linked[0]
    ctx.actions.run(
        executable = ctx.executable._embed_symbols,
        inputs = [linked],
        outputs = [image],
        arguments = [linked.path, image.path],
        mnemonic = "EmbedSymbols",
    )
    return DefaultInfo(files = depset([image]), runfiles = ctx.runfiles([image]))

_kernel_image = rule(
    implementation = _kernel_image_impl,
    attrs = {
        "linked": attr.label(cfg = _kernel_transition),
        "_embed_symbols": attr.label(
            default = "//guest_kernel/symbols:embed_symbols",
            executable = True,
            cfg = "host",
        ),
        "_allowlist_function_transition": attr.label(
            default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
        ),
    },
)

def kernel_image(name, deps, **kwargs):
    """Links `deps`, which define kernel_main(), with the start code, and puts the symbol table in for reports."""
    native.cc_binary(
        name = name + "_linked",
        additional_linker_inputs = ["//guest_kernel/boot:kernel.ld"],
        linkopts = [
            "-Wl,-T,$(location //guest_kernel/boot:kernel.ld)",
            "-lstdc++",
            "-lgcc",
        ],
        tags = ["manual"],
        visibility = ["//visibility:private"],
        deps = deps + ["//guest_kernel/boot:start"],
    )
    _kernel_image(
        name = name,
        linked = name + "_linked",
        **kwargs
    )
