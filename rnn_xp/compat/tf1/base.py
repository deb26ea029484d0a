"""What every TensorFlow 1 cell of this package is."""

from typing import TYPE_CHECKING, Any

from rnn_xp._typing import Array, State
from rnn_xp.backend import Backend, backend_of, get_backend, to_host
from rnn_xp.compat.tf1.bound import BoundCell
from rnn_xp.compat.tf1.checks import whole_number
from rnn_xp.compat.tf1.initial import default_generator
from rnn_xp.compat.tf1.structure import check_gradient, check_state, dtype_name, zeros_as
from rnn_xp.compat.tf1.tape import Call, active_tape
from rnn_xp.errors import ShapeError
from rnn_xp.namespace import namespace_of, require_float, require_like, require_shape
from rnn_xp.rng import Generator, make_generator

if TYPE_CHECKING:
    from rnn_xp.compat.tf1.leaf import LeafCell


class RNNCell:
    """Base of the cells: ``(output, new_state) = cell(inputs, state)``.

    Attributes
    ----------
    variables, grads : list of array
        Variables in TensorFlow's order and layout, and their gradients (see `Tape.backward`);
        an optimiser takes the two as they are. Empty until the cell is built.
    variable_names : list of str
        TensorFlow's names of the variables, without ``:0``.
    built : bool
        Whether the variables exist. The first call makes them, from the depth, dtype and
        backend of its inputs; `build` makes them before.
    """

    @property
    def state_size(self) -> Any:
        """Width of the state, or a (named, nested) tuple of the widths of its parts."""
        raise NotImplementedError

    @property
    def output_size(self) -> int:
        """Width of the output."""
        raise NotImplementedError

    @property
    def leaves(self) -> "list[LeafCell]":
        """The cells with variables, each once, in order."""
        raise NotImplementedError

    def _build(
        self, input_depth: int, backend: Backend, dtype: str, rng: Generator, scope: str
    ) -> None:
        raise NotImplementedError

    def bind(self) -> BoundCell:
        """Return the cell made ready for one call."""
        raise NotImplementedError

    def draw_masks(self) -> None:
        """Draw new dropout masks that steps share (`DropoutWrapper`, variational)."""

    @property
    def built(self) -> bool:
        """Whether the variables exist."""
        return all(leaf.built for leaf in self.leaves)

    @property
    def variables(self) -> list[Array]:
        """Variables in TensorFlow's order and layout."""
        return [v for leaf in self.leaves for v in leaf.variables]

    @property
    def grads(self) -> list[Array]:
        """Gradients, in the order and the shapes of `variables`."""
        return [g for leaf in self.leaves for g in leaf.grads]

    @property
    def variable_names(self) -> list[str]:
        """Names of the variables, such as ``"rnn/lstm_cell/kernel"``."""
        return [name for leaf in self.leaves for name in leaf.variable_names]

    trainable_variables = weights = trainable_weights = variables

    def build(
        self,
        input_depth: Any,
        *,
        backend: str | Backend | None = None,
        dtype: Any = None,
        rng: int | Generator | None = None,
        scope: str = "",
    ) -> None:
        """Make the variables; nothing happens if they exist.

        Parameters
        ----------
        input_depth : int or tuple
            Width of the inputs; of a shape, the last entry counts.
        backend : str or Backend, optional
            Default: what ``RNN_BACKEND`` names.
        dtype : optional
            "float32" (default) or "float64", by name or as any library's dtype.
        rng : int or numpy.random.Generator, optional
            Default: the generator that `set_random_seed` seeds.
        scope : str
            Prefix of the variables' names; ``"rnn"`` for `dynamic_rnn`.

        Raises
        ------
        ValueError
            If `input_depth` is no positive int.
        DTypeError, ShapeError
            If the cell was made for another dtype, or built for another depth.
        """
        depth = input_depth
        if isinstance(input_depth, tuple | list) and input_depth:
            depth = input_depth[-1]
        depth = whole_number(depth, f"{type(self).__name__}: input_depth")
        generator = default_generator() if rng is None else make_generator(rng)
        name = dtype_name(dtype or self._dtype or "float32", type(self).__name__)
        self._build(depth, get_backend(backend), name, generator, scope)

    _dtype: Any = None

    def build_for(self, inputs: Array, scope: str) -> None:
        """Build for `inputs` (..., D), or check that they fit what was built."""
        where = type(self).__name__
        require_float(inputs, where, "inputs")
        if not self.built:
            xp_dtype = dtype_name(inputs.dtype, where)
            self.build(
                int(inputs.shape[-1]), backend=backend_of(inputs), dtype=xp_dtype, scope=scope
            )
        require_like(inputs, self.variables[0], where, "inputs")
        D = self.leaves[0].input_depth
        if inputs.shape[-1] != D:
            raise ShapeError(
                f"{where}: inputs have shape {tuple(inputs.shape)}, but the variables were "
                f"built for a depth of {D}"
            )

    def zero_state(
        self, batch_size: int, dtype: Any, *, backend: str | Backend | None = None
    ) -> State:
        """Zeros of shape (batch_size, width), nested as `state_size`.

        Parameters
        ----------
        batch_size : int
        dtype : str or dtype
        backend : str or Backend, optional
            Default: that of the variables, or before they exist what ``RNN_BACKEND`` names.

        Raises
        ------
        DTypeError
            If `dtype` is neither float32 nor float64.
        """
        where = type(self).__name__
        batch_size = whole_number(batch_size, f"{where}: batch_size", least=0)
        name = dtype_name(dtype, where)
        if backend is None and self.built:
            be = backend_of(self.variables[0])
        else:
            be = get_backend(backend)
        return zeros_as(self.state_size, batch_size, be.xp, be.dtype(name), be.device)

    def get_initial_state(
        self, inputs: Array | None = None, batch_size: int | None = None, dtype: Any = None
    ) -> State:
        """`zero_state` for the batch size, dtype and backend of `inputs`, or as given."""
        if inputs is not None:
            return self.zero_state(inputs.shape[0], inputs.dtype, backend=backend_of(inputs))
        if batch_size is None or dtype is None:
            raise ValueError(
                f"{type(self).__name__}: give inputs, or batch_size and dtype; got "
                f"batch_size={batch_size}, dtype={dtype}"
            )
        return self.zero_state(batch_size, dtype)

    def get_weights(self) -> list[Any]:
        """Host copies (NumPy) of the variables."""
        return [to_host(v).copy() for v in self.variables]

    def set_weights(self, weights: list[Any]) -> None:
        """Write `weights`, host arrays in the order and layout of `variables`, into them.

        Raises
        ------
        ShapeError
            If the cell is not built, or number or shapes differ.
        """
        where = type(self).__name__
        if not self.built:
            raise ShapeError(f"{where}: set_weights needs the variables; call build(depth) first")
        if len(weights) != len(self.variables):
            raise ShapeError(
                f"{where}: set_weights got {len(weights)} arrays, expected {len(self.variables)}: "
                f"{', '.join(self.variable_names)}"
            )
        dtype = dtype_name(self.variables[0].dtype, where)
        be = backend_of(self.variables[0])
        hosts = [to_host(w) for w in weights]
        for variable, host, name in zip(self.variables, hosts, self.variable_names, strict=True):
            shape = tuple(variable.shape)
            require_shape(host, shape, where, name, "the variable's shape")
        for variable, host in zip(self.variables, hosts, strict=True):
            variable[...] = be.asarray(host, dtype)

    def __call__(
        self, inputs: Array, state: State, scope: str | None = None
    ) -> tuple[Array, State]:
        """One step.

        Parameters
        ----------
        inputs : array, shape (N, D)
        state : array, or tuple of array
            Nested as `state_size`, each part (N, its width).
        scope : str, optional
            Prefix of the variables' names, if this call makes them.

        Returns
        -------
        output : array, shape (N, output_size)
        new_state : like `state`

        Raises
        ------
        ShapeError, DTypeError, MixedBackendError
            If `inputs` or `state` do not fit the cell or each other.

        Notes
        -----
        Converts the variables to the core's layout, which copies the kernel: for many steps
        call `dynamic_rnn` or `static_rnn`, which do so once.
        """
        where = type(self).__name__
        require_float(inputs, where, "inputs")
        if len(inputs.shape) != 2:
            raise ShapeError(f"{where}: inputs has shape {tuple(inputs.shape)}, expected (N, D)")
        self.build_for(inputs, scope or "")
        N = inputs.shape[0]
        state = check_state(state, self.state_size, N, inputs, where, "state")
        bound = self.bind()
        output, new_state, cache = bound.forward(inputs, state)
        tape = active_tape()
        if tape is not None:

            def check(doutput: Any, dstate: Any) -> tuple[Any, Any]:
                if doutput is None:
                    xp = namespace_of(output)
                    doutput = xp.zeros_like(output)
                require_like(doutput, inputs, where, "doutputs")
                require_shape(doutput, tuple(output.shape), where, "doutputs", "(N, output_size)")
                return doutput, check_gradient(dstate, self.state_size, N, inputs, where, "dstate")

            def backward(doutput: Any, dstate: Any) -> tuple[Any, Any]:
                result = bound.backward(doutput, dstate, cache)
                bound.finish()
                return result

            tape.add(Call(where, self.leaves, check, backward))
        return output, new_state

    call = __call__


def require_cell(cell: Any, where: str) -> None:
    """Raise `TypeError` unless `cell` is a cell of this package."""
    if not isinstance(cell, RNNCell):
        raise TypeError(
            f"{where}: cell is a {type(cell).__name__}, expected a cell of rnn_xp.compat.tf1"
        )
