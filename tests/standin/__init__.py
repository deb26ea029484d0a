"""A stand-in for CuPy that needs no GPU: the tests run the CUDA kernels and their host code on it.

The ``.cu`` files are compiled by g++ as C++ (`compiler`, ``shim.h``), a block's threads are
fibers (``fibers.h``), arrays are NumPy's behind a type of their own (`array`), each in an
allocation between two guards (`memory`), and the modules `cupy` and `array_api_compat.cupy`
are replaced while a test runs (`install`).

What it notices: an argument of another dtype than the kernel's parameter, a Python number (CuPy
would pass 8 bytes), a wrong count, an array that is not C-contiguous (CuPy passes its pointer all
the same), a host array, a grid, block or shared memory beyond CUDA's limits, a grid of nothing
(CuPy makes it 1), writes just outside an array or the shared memory, reads of what was never
written or lies just outside (NaN), results that depend on the order of threads or blocks (every
second launch runs them backwards), warps and blocks whose threads do not come together, a matrix
product that reaches outside its allocations or names another type, and every way from the device
to the host (`transfers`).

What it does not: a missing ``__syncthreads`` where both orders come out well (threads run one after
another up to the next one), blocks that wait for each other, alignment, timing and memory limits,
CuPy's flushing of subnormal numbers (``-ftz=true``), the last bit of expf and its like, and
whatever a driver, cuBLAS or CuPy does other than its documentation says. Only a GPU shows those.
"""
