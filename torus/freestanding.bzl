"""Flags for code that also runs in the guest kernel."""

RSE_FREESTANDING = [
    "-fno-exceptions",
    "-fno-rtti",
    "-Werror=unused-result",
]
