"""rse_test: a doctest binary beside the code it tests."""

def rse_test(name, srcs, deps = [], **kwargs):
    native.cc_test(
        name = name,
        srcs = srcs,
        deps = deps + ["//third_party:doctest_main"],
        **kwargs
    )
