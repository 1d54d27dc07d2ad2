"""One thread for the matrices of a test, as blocks run: to be imported before NumPy is.

The workers of pytest-xdist have the cores already, and threads of small matrices wait for one another: products in
NumPy took twice the processor time. Commands that a test runs do not see it.
"""

import os

VARIABLES = {name for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS") if name not in os.environ}
os.environ.update(dict.fromkeys(VARIABLES, "1"))
