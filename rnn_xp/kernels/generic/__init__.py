"""The specification of every kernel, in the array API alone."""
