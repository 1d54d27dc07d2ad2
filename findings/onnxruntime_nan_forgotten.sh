#!/usr/bin/env bash
# onnxruntime 1.32.0 (CPU), operators LSTM and GRU, with models exported by torch 2.13.0. Found 2026-11-28.
#
# Expected: a NaN in the input makes the state NaN from that step on, as in torch, whose layers were exported.
# What happens: inside onnxruntime's LSTM and GRU operators NaN becomes an ordinary number at the gates, as a large
# positive (LSTM) or negative (GRU) argument would, and the state stays finite and of ordinary size; the operators Sigmoid and Tanh of the same
# library keep NaN. n = 16, six steps, x[3] = NaN, largest |h| a step:
#     GRU   torch        0.146 0.247 0.355 nan   nan   nan
#           onnxruntime  0.146 0.247 0.355 0.355 0.249 0.245     (the step is left out: h[3] = h[2] in every bit)
#     LSTM  torch        0.097 0.165 0.198 nan   nan   nan
#           onnxruntime  0.097 0.165 0.198 0.824 0.323 0.222     (the step is a full write: c = c + 1, h = tanh c)
#
# Why it matters: a diverged stage before the recurrent one, or a replicate of a batch that overflowed, comes out of the
# exported network as a healthy state below 1. A diverged share counted on its outputs is 0, and the GRU's Jacobian over that
# step, by differences, is the identity.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q numpy==2.4.6 torch==2.13.0 onnx==1.23.2 onnxscript==0.7.2 onnxruntime==1.32.0
cd "$folder"
OMP_NUM_THREADS=1 "$folder/venv/bin/python" -W ignore - <<'PY'
import numpy as np
import onnxruntime
import torch

for layer in (torch.nn.GRU, torch.nn.LSTM):
    torch.manual_seed(0)
    network = layer(1, 16).eval()
    x = torch.randn(6, 1, 1)
    program = torch.onnx.export(network, (x,), dynamo=True, verbose=False)
    program.save("network.onnx")
    session = onnxruntime.InferenceSession("network.onnx", providers=["CPUExecutionProvider"])
    assert layer.__name__ in [node.op_type for node in program.model_proto.graph.node]

    def exported(values):
        return session.run(None, {session.get_inputs()[0].name: values.numpy()})[0]

    assert np.abs(exported(x) - network(x)[0].detach().numpy()).max() < 1e-5
    x[3] = float("nan")
    ours = network(x)[0].detach().numpy()
    theirs = exported(x)
    print(layer.__name__, "torch      ", np.abs(ours).max((1, 2)).round(3))
    print(layer.__name__, "onnxruntime", np.abs(theirs).max((1, 2)).round(3))
    assert np.isnan(ours[3:]).all() and not np.isnan(ours[:3]).any()
    assert np.isfinite(theirs).all() and np.abs(theirs).max() < 1.01, "NaN is no longer lost"
    if layer is torch.nn.GRU:
        assert (theirs[3] == theirs[2]).all()
    else:
        written = torch.tanh(network(x[:3])[1][1] + 1).detach().numpy()[0]
        assert np.abs(theirs[3] - written).max() < 1e-4
PY
