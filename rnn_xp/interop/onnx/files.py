"""ONNX models as files, read and written with clear errors."""

from os import PathLike
from pathlib import Path
from typing import Any

from rnn_xp.errors import CheckpointError, ConversionError
from rnn_xp.files import atomic_write
from rnn_xp.interop.extras import optional

MAX_BYTES = 2**31 - 1  # of a protobuf message


def onnx_package(purpose: str = "reading or writing an ONNX file") -> Any:
    """The package ``onnx``.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    return optional("onnx", "onnx", purpose)


def load_model(source: Any) -> Any:
    """Read and check a model.

    Parameters
    ----------
    source : str, Path, bytes or onnx.ModelProto

    Returns
    -------
    model : onnx.ModelProto

    Raises
    ------
    CheckpointError
        If the file is missing, damaged or not an ONNX model.
    TypeError
        If `source` is something else.
    MissingExtraError
    """
    onnx = onnx_package()
    if isinstance(source, onnx.ModelProto):
        return source
    if not isinstance(source, str | PathLike | bytes):
        raise TypeError(
            f"ONNX model: got a {type(source).__name__}, expected a path, bytes or an "
            "onnx.ModelProto"
        )
    where = "ONNX model" if isinstance(source, bytes) else str(source)
    try:
        if isinstance(source, bytes):
            model = onnx.load_model_from_string(source)
        else:
            if not Path(source).is_file():
                raise CheckpointError(f"{where}: no such file")
            model = onnx.load_model(str(source))
        onnx.checker.check_model(model)
    except CheckpointError:
        raise
    except (OSError, ValueError, onnx.checker.ValidationError, _decode_error()) as error:
        raise CheckpointError(
            f"{where}: not an ONNX model, or damaged ({str(error).strip().splitlines()[0][:200]})"
            if str(error).strip()
            else f"{where}: not an ONNX model, or damaged"
        ) from error
    return model


def _decode_error() -> type[Exception]:
    error: type[Exception] = optional("google.protobuf.message", "onnx", "ONNX").DecodeError
    return error


def tensor_array(tensor: Any) -> Any:
    """A constant of a model as a NumPy array.

    Raises
    ------
    CheckpointError
        If its data do not fit its shape, or its type is unknown.
    """
    try:
        return onnx_package().numpy_helper.to_array(tensor)
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"ONNX model: tensor {tensor.name!r} is damaged: its data are not of the type and "
            "shape that it declares"
        ) from error


def save_model(path: str | Path, model: Any) -> None:
    """Write a model; an older file at `path` is replaced whole or not at all.

    Raises
    ------
    CheckpointError
        If it cannot be written.
    """
    data = model.SerializeToString()
    with atomic_write(path) as file:
        file.write(data)


def check_size(byte_count: int, where: str) -> None:
    """Raise if weights of this size do not fit into one ONNX file."""
    if byte_count > MAX_BYTES - 2**20:
        raise ConversionError(
            f"{where}: {byte_count} bytes of weights; an ONNX file holds less than 2 GiB"
        )
