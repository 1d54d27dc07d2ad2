"""Cells of docs/physics.md section 2.2, each a second time in plain torch for one replicate, as in `reference`.

u: name -> matrix (out, in), or (n, 1) of a diagonal cell. a: gate -> W x + b. inner: name -> vector. s: the state.
Complex cells are in complex numbers, decays in powers and logarithms, and what is a fixed number is written out.
"""

import math

import torch

sg = torch.sigmoid


def indrnn(u, a, inner, s):
    return (torch.clamp(torch.diag(u["hidden"][:, 0]) @ s[0] + a["hidden"], min=0),)


def antisymmetric(u, a, inner, s):
    (h,) = s
    return (h + 0.01 * torch.tanh((u["hidden"] - u["hidden"].T) @ h - 0.01 * h + a["hidden"]),)


def cornn(u, a, inner, s):
    y, z = s
    force = torch.tanh(torch.cat([u["position"], u["velocity"]], dim=1) @ torch.cat([y, z]) + a["hidden"])
    z = z + 0.042 * (force - 2.7 * y - 4.7 * z)
    return y + 0.042 * z, z


def lem(u, a, inner, s):
    y, z = s
    p, q = sg(a["step_z"] + u["step_z"] @ y), sg(a["step_y"] + u["step_y"] @ y)
    z = torch.lerp(z, torch.tanh(a["candidate_z"] + u["candidate_z"] @ y), p)
    return torch.lerp(y, torch.tanh(a["candidate_y"] + u["candidate_y"] @ z), q), z


def unicornn(u, a, inner, s):
    y, z = s
    step = 0.19 * (0.5 + 0.5 * torch.tanh(u["step"][:, 0] / 2))
    z = z - step * (torch.tanh(a["hidden"] + u["hidden"][:, 0] * y) + 30.65 * y)
    return y + step * z, z


def lipschitz_rnn(u, a, inner, s):
    (h,) = s

    def flow(m):
        return 0.35 * (m + m.T) + 0.65 * (m - m.T) - 0.001 * torch.eye(len(h), dtype=h.dtype)

    return (h + 0.01 * (flow(u["linear"]) @ h + torch.tanh(flow(u["hidden"]) @ h + a["hidden"])),)


def modrelu_rnn(u, a, inner, s):
    total = a["hidden"] + u["hidden"] @ s[0]
    return (torch.sign(total) * torch.relu(torch.abs(total) + inner["threshold"]),)


def unitary(u, a, inner, s):
    matrix = torch.complex(u["real"], u["imaginary"])
    total = matrix @ torch.complex(*s) + torch.complex(a["real"], a["imaginary"])
    length = torch.sqrt(total.real**2 + total.imag**2 + 1e-10)
    after = torch.relu(length + inner["threshold"]) * (total / length)
    return after.real, after.imag


def esn(u, a, inner, s):
    return (torch.lerp(s[0], torch.tanh(a["hidden"] + u["hidden"] @ s[0]), 0.3),)


def min_lstm(u, a, inner, s):
    f, i = sg(a["forget"]), sg(a["input"])
    return ((f * s[0] + i * a["candidate"]) / (f + i),)


def qrnn(u, a, inner, s):
    return (torch.lerp(torch.tanh(a["candidate"]), s[0], sg(a["forget"])),)


def sru(u, a, inner, s):
    return (torch.lerp(a["candidate"], s[0], sg(a["forget"] + u["forget"][:, 0] * s[0])),)


def gru_diagonal(u, a, inner, s):
    (h,), u = s, {name: torch.diag(vector[:, 0]) for name, vector in u.items()}
    z, r = sg(a["update"] + u["update"] @ h), sg(a["reset"] + u["reset"] @ h)
    return (torch.lerp(h, torch.tanh(a["candidate"] + u["candidate"] @ (r * h)), z),)


def lstm_diagonal(u, a, inner, s):
    (h, c), u = s, {name: torch.diag(vector[:, 0]) for name, vector in u.items()}
    f, i, o = (sg(a[gate] + u[gate] @ h) for gate in ("forget", "input", "output"))
    c = f * c + i * torch.tanh(a["candidate"] + u["candidate"] @ h)
    return o * torch.tanh(c), c


def s6(u, a, inner, s):
    step = torch.nn.functional.softplus(a["step"])
    return tuple(torch.exp(-(k + 1.0) * step) * h + step * a["value"] for k, h in enumerate(s))


def rg_lru(u, a, inner, s):
    log_a = 8 * sg(a["recurrence"]) * torch.nn.functional.logsigmoid(u["decay"][:, 0])
    return (torch.exp(log_a) * s[0] + torch.sqrt(-torch.expm1(2 * log_a)) * sg(a["input"]) * a["value"],)


def slstm(u, a, inner, s):
    h, c, n, m = s
    raw = {gate: a[gate] + u[gate] @ h for gate in a}
    kept = torch.nn.functional.logsigmoid(raw["forget"]) + m
    m = torch.where(n == 0, raw["input"], torch.maximum(raw["input"], kept))
    f, i = torch.exp(torch.clamp(kept - m, max=0)), torch.exp(raw["input"] - m)
    c, n = f * c + i * torch.tanh(raw["candidate"]), f * n + i
    return sg(raw["output"]) * c / torch.clamp(n, min=1), c, n, m


def cfc(u, a, inner, s):
    share, g, k = (a[gate] + u[gate] @ s[0] for gate in ("time", "early", "late"))
    return (torch.lerp(torch.tanh(g), torch.tanh(k), sg(share)),)


def ltc(u, a, inner, s):
    f = sg(a["hidden"] + u["hidden"] @ s[0])
    return ((s[0] + f * inner["reversal"]) / (2 + f),)


def s4d(u, a, inner, s):
    modulus, phase = u["modulus"][:, 0], u["phase"][:, 0]
    turned = phase + math.pi * (modulus < 0).double()  # a negative modulus is half a turn
    h = torch.exp(torch.complex(torch.log(modulus.abs()), turned)) * torch.complex(*s) + torch.complex(
        a["real"], a["imaginary"]
    )
    return h.real, h.imag


STEPS = {
    step.__name__: step
    for step in (
        indrnn, antisymmetric, cornn, lem, unicornn, lipschitz_rnn, modrelu_rnn, unitary, esn, min_lstm, qrnn, sru,
        gru_diagonal, lstm_diagonal, s6, rg_lru, slstm, s4d, cfc, ltc,
    )
}  # fmt: skip
