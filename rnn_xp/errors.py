"""Exception classes. Every message says what was given, what was expected, and where."""


class RnnXpError(Exception):
    """Base of every error that this package raises on purpose."""


class ShapeError(RnnXpError, ValueError):
    """An array has the wrong shape."""


class DTypeError(RnnXpError, TypeError):
    """An array has the wrong dtype."""


class MixedBackendError(RnnXpError, TypeError):
    """Arrays of two array libraries, or of two devices, meet in one call."""


class BackendUnavailable(RnnXpError, RuntimeError):  # noqa: N818 - reads as a state, like ModuleNotFound
    """A backend was asked for explicitly and cannot be used on this machine."""


class BackendFallbackWarning(UserWarning):
    """``RNN_BACKEND`` asks for a GPU backend that cannot be used; NumPy is used instead."""


class KernelRefused(RnnXpError, RuntimeError):  # noqa: N818
    """A fast kernel does not take these arrays, and ``RNN_XP_KERNELS=strict`` is set."""


class PrecisionUnavailable(RnnXpError, ValueError):  # noqa: N818
    """A precision of matrix products was asked for that these kernels do not have."""


class StaleCacheError(RnnXpError, RuntimeError):
    """``backward`` was called without the data of a matching ``forward``."""


class DataError(RnnXpError, ValueError):
    """A text, a corpus or a vocabulary cannot be used."""


class CheckpointError(RnnXpError, RuntimeError):
    """A run folder or a weight file is missing, damaged or of another format."""


class NonFiniteError(RnnXpError, ArithmeticError):
    """A loss, an activation or a gradient became NaN or infinite."""


class ConversionError(RnnXpError, ValueError):
    """A layer, or weights of another system, for which the other side has no exact equal."""


class MissingExtraError(RnnXpError, ImportError):
    """An optional package is needed and not installed; the message names the extra."""
