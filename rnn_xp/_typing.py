"""Names for what the array API leaves untyped.

There is no agreed static typing of arrays across NumPy, CuPy and torch, so these
are aliases of ``Any``: they document a signature, they do not check it.
"""

from typing import Any, TypeAlias

Array: TypeAlias = Any
Namespace: TypeAlias = Any
Device: TypeAlias = Any
DType: TypeAlias = Any
State: TypeAlias = Any  # an array, or a (nested) tuple of arrays
