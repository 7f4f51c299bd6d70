# SPDX-License-Identifier: GPL-2.0-or-later
"""The compiled parts of pyntzc; all else about the package is in pyproject.toml."""

from pathlib import Path

from setuptools import Extension, setup

NATIVE = Path("pyntzc/native")

setup(
    cffi_modules=[
        "pyntzc/build_libntzc.py:ffibuilder",
        "pyntzc/build_libpcap.py:ffibuilder",
    ],
    ext_modules=[
        Extension(
            "pyntzc._frames",
            sources=sorted(map(str, NATIVE.glob("*.c"))),
            depends=[*map(str, NATIVE.glob("*.h")), "libntzc/include/libntzc.h"],
            include_dirs=["libntzc/include", "module/include"],
            extra_compile_args=["-std=c11", "-Wall", "-Wextra", "-fvisibility=hidden"],
            py_limited_api=True,
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
