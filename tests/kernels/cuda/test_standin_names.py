"""What the stand-in offers is in the real CuPy, under the same names. CuPy alone, no GPU."""

import importlib
import inspect
import re

import pytest
import standin.array
import standin.modules
from standin import blas

MODULES = ("CUPY", "CUDA", "DEVICE", "RUNTIME")
CLASSES = {
    "ndarray": ("cupy", standin.array.ndarray),
    "Device": ("cupy.cuda", standin.array.Device),
    "Stream": ("cupy.cuda", standin.modules.Stream),
    "Event": ("cupy.cuda", standin.modules.Event),
}
# Of the stand-in alone: the NumPy array behind one of its own, and the namespace that real CuPy
# arrays get from array-api-compat; and what Python adds.
OWN = {"host", "__array_namespace__", "__getattr__", "__annotations__"}


class Plain:
    pass


@pytest.fixture(scope="module")
def cupy():
    if standin.modules.installed():
        pytest.skip("the stand-in is in CuPy's place")
    return pytest.importorskip("cupy", reason="cupy is not installed", exc_type=ImportError)


@pytest.fixture(scope="module")
def cublas(cupy):
    try:
        return cupy.cuda.cublas
    except ImportError as error:
        pytest.skip(f"cuBLAS is not installed ({str(error).splitlines()[0][:100]})")


def offered(of):
    return [n for n in vars(of) if not n.startswith("_")]


@pytest.mark.parametrize("which", MODULES)
def test_names(cupy, which):
    ours = getattr(standin.modules, which)
    theirs = importlib.import_module(
        {"cupy.cuda.runtime": "cupy_backends.cuda.api.runtime"}.get(ours.__name__, ours.__name__)
    )
    names = set(offered(ours)) - {"cublas"}  # asking for it loads the library; see below
    assert len(names) > 1
    assert [n for n in names if not hasattr(theirs, n)] == []
    numbers = [n for n in names if type(getattr(ours, n)) is int]
    assert {n: getattr(theirs, n) for n in numbers} == {n: getattr(ours, n) for n in numbers}


@pytest.mark.parametrize("name", CLASSES)
def test_members(cupy, name):
    module, ours = CLASSES[name]
    theirs = getattr(importlib.import_module(module), name)
    names = set(vars(ours)) - set(vars(Plain)) - OWN
    names |= standin.array.METHODS if name == "ndarray" else set()
    one = theirs.null if name == "Stream" else theirs  # its `ptr` is set when it is made
    assert [n for n in names if not hasattr(one, n)] == []


def test_what_cupy_lacks_the_stand_in_lacks(cupy):
    assert cupy.cuda.Device.__hash__ is standin.array.Device.__hash__ is None
    for array in (cupy.ndarray, standin.array.ndarray):
        assert array.__hash__ is None
        assert not hasattr(array, "__imatmul__")
        assert not hasattr(array, "__index__")


@pytest.mark.parametrize("name", ["gemmEx", "sgemm", "dgemm"])
def test_products_take_the_same(cublas, name):
    declared = re.search(r"\((.*)\)", getattr(cublas, name).__doc__)[1]
    expected = [parameter.split()[-1] for parameter in declared.split(",")]
    assert list(inspect.signature(getattr(blas, name)).parameters) == expected


def test_cublas_constants(cublas):
    names = [n for n in vars(blas) if n.startswith("CUBLAS_")]
    assert len(names) > 10
    assert {n: getattr(cublas, n) for n in names} == {n: getattr(blas, n) for n in names}
