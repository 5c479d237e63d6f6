"""planted_test: a program of the test tree, built with -DRSE_PLANTED_FAULTS together with all that it is made of, as a test."""

def _planted_impl(settings, attr):
    return {"//command_line_option:copt": settings["//command_line_option:copt"] + ["-DRSE_PLANTED_FAULTS"]}

_planted = transition(
    implementation = _planted_impl,
    inputs = ["//command_line_option:copt"],
    outputs = ["//command_line_option:copt"],
)

def _planted_test_impl(ctx):
    executable = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.symlink(output = executable, target_file = ctx.executable.program, is_executable = True)
    return DefaultInfo(executable = executable)

planted_test = rule(
    implementation = _planted_test_impl,
    test = True,
    attrs = {
        "program": attr.label(cfg = _planted, executable = True, mandatory = True),
        "_whitelist_function_transition": attr.label(default = "@bazel_tools//tools/whitelists/function_transition_whitelist"),
    },
)
