#!/usr/bin/env bash
# onnxruntime 1.32.0 (CPU), operator RNN; the same formula in tinygrad 0.14.0, Tensor.tanh. Found 2026-11-28.
#
# Expected: the tanh inside onnxruntime's RNN operator is as good as its own Tanh operator, and tanh(x) = x for small x.
# What happens: the RNN operator works out tanh(x) as 2 sigmoid(2x) - 1 in float32, so everything below about 3e-8 is
# exactly zero and the rest comes in steps of 2^-23 = 1.19e-7. The operator Tanh of the same library, and LSTM and GRU, are right:
#     x = 1e-3   Tanh 9.9999958e-04   RNN 9.9992752e-04   tinygrad 9.9992752e-04
#     x = 1e-6   Tanh 9.9999988e-07   RNN 1.0728836e-06   tinygrad 1.0728836e-06   (7 per cent)
#     x = 1e-8   Tanh 9.9999991e-09   RNN 0               tinygrad 0
# A network of 64 tanh units at gain 0.577 (PyTorch's law), started at h = 0.1 and left alone, is exactly zero in the RNN
# operator from step 42 on; the reference evaluator of the onnx package still has 3.5e-10 there and 4.7e-22 at step 100.
#
# Why it matters: whoever measures a decay or a growth rate from runs of an exported network (two copies a small
# distance apart, or the state of a network at rest) sees forgetting that is complete after 17 nats instead of 87, and
# a rate that is wrong well before: perturbations below 1e-7 do not exist in this operator.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 tinygrad==0.14.0
DEV=PYTHON "$folder/venv/bin/python" - <<'PY'
import numpy as np
import onnxruntime
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator
from tinygrad import Tensor

FLOAT = TensorProto.FLOAT


def model(node, inputs):
    values = [helper.make_tensor_value_info(name, FLOAT, None) for name in inputs]
    out = [helper.make_tensor_value_info("Y", FLOAT, None)]
    made = helper.make_model(helper.make_graph([node], "one", values, out), opset_imports=[helper.make_opsetid("", 17)])
    made.ir_version = 8
    return made


def run(made, feed):
    return onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, feed)[0]


def recurrent(n):
    return model(helper.make_node("RNN", ["X", "W", "R", "B", "", "H"], ["Y"], hidden_size=n), ["X", "W", "R", "B", "H"])


x = np.array([1e-3, 1e-6, 1e-8], np.float32)
one = np.ones((1, 1, 1), np.float32)
zero = np.zeros((1, 1, 1), np.float32)
operator = run(model(helper.make_node("Tanh", ["X"], ["Y"]), ["X"]), {"X": x})
inside = np.array([
    run(recurrent(1), {"X": v.reshape(1, 1, 1), "W": one, "R": zero, "B": np.zeros((1, 2), np.float32), "H": zero}).item() for v in x
])
tiny = Tensor(x).tanh().numpy()
for row in zip(x, operator, inside, tiny):
    print("x %.0e  Tanh %.7e  RNN %.7e  tinygrad %.7e" % row)
assert np.allclose(operator, np.tanh(x), rtol=1e-6)
assert inside[2] == 0 and tiny[2] == 0, "tanh(1e-8) is no longer zero"
assert abs(inside[1] / 1e-6 - 1) > 0.05 and abs(tiny[1] / 1e-6 - 1) > 0.05

n, steps = 64, 100
rng = np.random.default_rng(1)
feed = {
    "X": np.zeros((steps, 1, 1), np.float32),
    "W": np.zeros((1, n, 1), np.float32),
    "R": rng.uniform(-(n**-0.5), n**-0.5, (1, n, n)).astype(np.float32),
    "B": np.zeros((1, 2 * n), np.float32),
    "H": np.full((1, 1, n), 0.1, np.float32),
}
ours = np.abs(run(recurrent(n), feed)).max(axis=(1, 2, 3))
reference = np.abs(ReferenceEvaluator(recurrent(n)).run(None, feed)[0]).max(axis=(1, 2, 3))
dead = int(np.argmax(ours == 0)) + 1
print(f"largest |h|: onnxruntime exactly 0 from step {dead} on; reference {reference[dead - 1]:.2g} there, {reference[-1]:.2g} at {steps}")
assert 20 < dead < 60 and (ours[dead - 1:] == 0).all() and reference[-1] > 1e-30
PY
