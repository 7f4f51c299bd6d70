# SPDX-License-Identifier: GPL-2.0-or-later
# Made by cffi: see build_libpcap.py for what is in lib.
from typing import Any

ffi: Any
lib: Any
