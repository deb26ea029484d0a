"""Write ``numbers.npz``: what TensorFlow computes, in float64, for every case of ``cases.py``.

The file holds all numbers that go in as one float32 vector (they are exact in it), all that
come out as one float64 vector, and as JSON text where which array lies. `read` opens it.

Needs tensorflow and tf_keras. Run in this folder: ``python make_numbers.py``.
"""

import json

import numpy as np
from tf1_cases import CASES
from tf1_numbers import FILE

COMING_OUT = ("result", "dx", "dinitial", "dvariable")


def main():
    from tf1_oracle import reference  # takes seconds to import, and only writing needs it

    index, given, results = {}, [], []
    for case in CASES:
        found = reference(case, "float64")
        index[case.name] = {"names": found.pop("names").tolist(), "in": [], "out": []}
        for key, array in found.items():
            side, values = ("out", results) if key.startswith(COMING_OUT) else ("in", given)
            index[case.name][side].append([key, list(array.shape)])
            values.append(np.ravel(array))
        print(case.name)
    np.savez_compressed(
        FILE,
        index=np.array(json.dumps(index)),
        given=np.concatenate(given).astype(np.float32),
        results=np.concatenate(results),
    )
    print(f"{FILE.name}: {len(CASES)} cases, {FILE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
