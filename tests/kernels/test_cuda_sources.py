"""The CUDA sources compile for the architectures in use. NVRTC needs no GPU and no driver."""

import os
from importlib import resources

import pytest

from rnn_xp.kernels.cuda.module import options, source

# What CuPy adds (cupy/cuda/compiler.py of 14.2), without its folders of headers.
CUPY_OPTIONS = ("-ftz=true", "--device-as-default-execution-space")
SOURCES = sorted(
    p.name.removesuffix(".cu")
    for p in (resources.files("rnn_xp.kernels.cuda") / "cu").iterdir()
    if p.name.endswith(".cu")
)


@pytest.fixture(scope="module")
def nvrtc():
    try:
        from cupy_backends.cuda.libs import nvrtc

        nvrtc.getVersion()
    except (ImportError, RuntimeError) as error:
        reason = f"NVRTC is not installed ({str(error).splitlines()[0][:200]})"
        if "nvrtc" in os.environ.get("RNN_XP_TEST_REQUIRE", ""):
            pytest.fail(reason)
        pytest.skip(reason)
    return nvrtc


def test_there_are_sources():
    assert {"embedding", "softmax_loss", "narrow"} <= set(SOURCES)


@pytest.mark.parametrize("arch", ["80", "90", "100"])
@pytest.mark.parametrize(
    ("dtype", "precision"),
    [
        ("float32", "float32"),
        ("float64", "float32"),
        ("float32", "float16"),
        ("float32", "bfloat16"),
    ],
)
@pytest.mark.parametrize("name", SOURCES)
def test_compiles(nvrtc, name, dtype, precision, arch):
    program = nvrtc.createProgram(source(name), f"{name}.cu", (), ())
    try:
        nvrtc.compileProgram(
            program, (*options(dtype, precision), *CUPY_OPTIONS, f"-arch=sm_{arch}")
        )
    except nvrtc.NVRTCError:
        pytest.fail(nvrtc.getProgramLog(program))
    cubin = nvrtc.getCUBIN(program)
    nvrtc.destroyProgram(program)
    assert len(cubin) > 1000


def test_a_broken_source_is_noticed(nvrtc):
    program = nvrtc.createProgram("__global__ void f() { int x = y; }", "broken.cu", (), ())
    with pytest.raises(nvrtc.NVRTCError):
        nvrtc.compileProgram(program, ("-arch=sm_90",))
    nvrtc.destroyProgram(program)
