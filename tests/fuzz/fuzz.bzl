"""fuzz_test: a libFuzzer target, built by clang with address and undefined behaviour sanitizers together with all that it
fuzzes, run over its corpus and then for a few seconds from there. By hand, for as long as you like:
    bazel run //tests/fuzz:NAME_fuzz_test -- -max_total_time=600 -jobs=2
"""

_INSTRUMENT = "-fsanitize=fuzzer-no-link,address,undefined"
_LINK = "-fsanitize=address,undefined"

def _fuzz_impl(settings, attr):
    return {
        "//command_line_option:compiler": "clang",
        "//command_line_option:copt": settings["//command_line_option:copt"] + [
            _INSTRUMENT,
            "-fno-sanitize-recover=all",
            "-fno-sanitize=vptr",  # the core has no run-time types
            "-Wno-unknown-warning-option",
        ],
        "//command_line_option:crosstool_top": "//third_party/clang:toolchain",
        "//command_line_option:linkopt": settings["//command_line_option:linkopt"] + [_LINK],
    }

_fuzz = transition(
    implementation = _fuzz_impl,
    inputs = [
        "//command_line_option:copt",
        "//command_line_option:linkopt",
    ],
    outputs = [
        "//command_line_option:compiler",
        "//command_line_option:copt",
        "//command_line_option:crosstool_top",
        "//command_line_option:linkopt",
    ],
)

def _fuzzer_test_impl(ctx):
    script = ctx.actions.declare_file(ctx.label.name)
    corpus = " ".join(["'%s'" % file.short_path for file in ctx.files.corpus])
    ctx.actions.write(script, is_executable = True, content = """#!/bin/bash
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/corpus"
for file in {corpus}; do cp "$file" "$work/corpus/"; done
'{program}' -seed=1 -max_total_time={seconds} -rss_limit_mb=1024 -timeout=20 -max_len=4096 -print_final_stats=1 \\
  -artifact_prefix="${{TEST_UNDECLARED_OUTPUTS_DIR:-.}}/" "$@" "$work/corpus"
""".format(corpus = corpus, program = ctx.executable.program.short_path, seconds = ctx.attr.seconds))
    return DefaultInfo(
        executable = script,
        runfiles = ctx.runfiles(files = ctx.files.corpus + [ctx.executable.program]),
    )

_fuzzer_test = rule(
    implementation = _fuzzer_test_impl,
    test = True,
    attrs = {
        "corpus": attr.label_list(allow_files = True),
        "program": attr.label(cfg = _fuzz, executable = True, mandatory = True),
        "seconds": attr.int(default = 3),
        "_whitelist_function_transition": attr.label(default = "@bazel_tools//tools/whitelists/function_transition_whitelist"),
    },
)

def fuzz_test(name, deps):
    """NAME.cc has LLVMFuzzerTestOneInput(); corpus/NAME/ has some inputs."""
    native.cc_binary(
        name = name,
        testonly = True,
        srcs = [name + ".cc"],
        linkopts = ["-fsanitize=fuzzer"],
        tags = ["manual"],  # only clang can
        deps = deps + ["//torus/base:hosted"],
    )
    _fuzzer_test(
        name = name + "_test",
        size = "small",
        corpus = native.glob(["corpus/%s/*" % name]),
        program = ":" + name,
    )
