"""source_package: a distribution's source package that deploy/setup has unpacked into third_party/sources."""

def _source_package_impl(ctx):
    folder = ctx.path(Label("//:WORKSPACE")).dirname.get_child("third_party").get_child("sources").get_child(ctx.attr.name)
    if not folder.get_child(".complete").exists:
        fail("the source of %s is not there (%s); run deploy/setup, which fetches it" % (ctx.attr.name, folder))
    for entry in folder.readdir():
        ctx.symlink(entry, entry.basename)
    ctx.symlink(ctx.attr.build_file, "BUILD")

source_package = repository_rule(
    implementation = _source_package_impl,
    attrs = {"build_file": attr.label(allow_single_file = True, mandatory = True)},
    local = True,
)
