"""kernel_test: one source, tested on the host by doctest and in the guest by guest_kernel/test/test.h."""

load("//third_party:doctest.bzl", "rse_test")
load("//torus:freestanding.bzl", "RSE_FREESTANDING")

def kernel_test(name, srcs, deps = []):
    """The host's test `name`, and `name`_guest to be linked into //guest_kernel/test:tests."""
    rse_test(
        name = name,
        size = "small",
        srcs = srcs,
        deps = deps + [
            "//guest_kernel/test:test",
            "//torus/base:hosted",
        ],
    )
    native.cc_library(
        name = name + "_guest",
        srcs = srcs,
        alwayslink = True,
        copts = RSE_FREESTANDING,
        tags = ["manual"],
        deps = deps + ["//guest_kernel/test:test"],
    )
