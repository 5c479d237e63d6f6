"""cc_proto: C++ code from .proto files by the system's protoc."""

def cc_proto(name, srcs, visibility = None):
    """Compiles `srcs` (paths from the workspace root decide the include paths) into the library `name`."""
    outs = []
    for src in srcs:
        stem = src[:-len(".proto")]
        outs += [stem + ".pb.h", stem + ".pb.cc"]
    native.genrule(
        name = name + "_generate",
        srcs = srcs,
        outs = outs,
        cmd = "protoc -I. --cpp_out=$(GENDIR) $(SRCS)",
    )
    native.cc_library(
        name = name,
        srcs = [o for o in outs if o.endswith(".cc")],
        hdrs = [o for o in outs if o.endswith(".h")],
        copts = ["-Wno-unused-parameter"],
        visibility = visibility,
        deps = ["@system//:protobuf"],
    )
