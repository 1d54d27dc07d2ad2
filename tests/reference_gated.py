"""The gated cells of docs/physics.md section 2.1, written a second time from their papers, one replicate at a time.

Each takes u: name -> (out, in), a: gate -> W x + b, inner: inner biases and vector weights by name, s: parts; and gives
the next parts. Nothing here knows how rnnmc computes a cell or its tangent.
"""

import torch

sg, tanh = torch.sigmoid, torch.tanh


def lstm_peephole(u, a, inner, s):
    h, c = s
    i = sg(a["input"] + u["input"] @ h + inner["input"] * c)
    f = sg(a["forget"] + u["forget"] @ h + inner["forget"] * c)
    c = f * c + i * tanh(a["candidate"] + u["candidate"] @ h)
    return sg(a["output"] + u["output"] @ h + inner["output"] * c) * tanh(c), c


def lstm_coupled(u, a, inner, s):
    h, c = s
    i, o = (sg(a[k] + u[k] @ h) for k in ("input", "output"))
    forget = 1 - i
    c = forget * c + i * tanh(a["candidate"] + u["candidate"] @ h)
    return o * tanh(c), c


def lstm_no_forget(u, a, inner, s):
    h, c = s
    i, o = (sg(a[k] + u[k] @ h) for k in ("input", "output"))
    c = c + i * tanh(a["candidate"] + u["candidate"] @ h)
    return o * tanh(c), c


def lstm_layer_norm(u, a, inner, s):
    h, c = s
    names = ("forget", "input", "output", "candidate")
    stacked = torch.nn.functional.layer_norm(torch.cat([u[k] @ h for k in names]), [4 * len(h)])
    f, i, o, g = (a[k] + part for k, part in zip(names, stacked.split(len(h)), strict=True))
    c = sg(f) * c + sg(i) * tanh(g)
    return sg(o) * tanh(torch.nn.functional.layer_norm(c, [len(c)])), c


def lstm_projected(u, a, inner, s):
    shown = max(1, len(s[0]) // 2)
    r, c = s[0][:shown], s[1]
    f, i, o, g = (a[k] + u[k][:, :shown] @ r for k in ("forget", "input", "output", "candidate"))
    c = sg(f) * c + sg(i) * tanh(g)
    r = u["projection"][:shown] @ (sg(o) * tanh(c))
    return torch.cat([r, torch.zeros(len(c) - shown, dtype=c.dtype)]), c


def janet(u, a, inner, s):
    (h,) = s
    pre = a["forget"] + u["forget"] @ h
    return (sg(pre) * h + (1 - sg(pre - 1)) * tanh(a["candidate"] + u["candidate"] @ h),)


def ugrnn(u, a, inner, s):
    (h,) = s
    gate = sg(a["update"] + u["update"] @ h)
    return (gate * h + (1 - gate) * tanh(a["candidate"] + u["candidate"] @ h),)


def cfn(u, a, inner, s):
    (h,) = s
    theta, eta = sg(a["forget"] + u["forget"] @ h), sg(a["input"] + u["input"] @ h)
    return (theta * tanh(h) + eta * tanh(a["candidate"]),)


def star(u, a, inner, s):
    (h,) = s
    k = sg(a["update"] + u["update"] @ h)
    return (tanh((1 - k) * h + k * tanh(a["candidate"])),)


def ligru(u, a, inner, s):
    (h,) = s
    z = sg(a["update"] + u["update"] @ h)
    return (z * h + (1 - z) * torch.relu(a["candidate"] + u["candidate"] @ h),)


def ran(u, a, inner, s):
    (c,) = s
    h = tanh(c)
    return (sg(a["input"] + u["input"] @ h) * a["candidate"] + sg(a["forget"] + u["forget"] @ h) * c,)


def fastrnn(u, a, inner, s):
    (h,) = s
    alpha, beta = sg(torch.tensor([-3.0, 3.0], dtype=h.dtype))
    return (alpha * tanh(a["hidden"] + u["hidden"] @ h) + beta * h,)


def fastgrnn(u, a, inner, s):
    (h,) = s
    zeta, nu = sg(torch.tensor([1.0, -4.0], dtype=h.dtype))
    shared = u["update"] @ h + a["update"]
    z = sg(shared)
    return ((zeta * (1 - z) + nu) * tanh(shared + inner["candidate"]) + z * h,)


def brc(u, a, inner, s):
    (h,) = s
    feedback = 1 + tanh(a["feedback"] + inner["feedback"] * h)
    c = sg(a["update"] + inner["update"] * h)
    return (c * h + (1 - c) * tanh(a["candidate"] + feedback * h),)


def nbrc(u, a, inner, s):
    (h,) = s
    feedback = 1 + tanh(a["feedback"] + u["feedback"] @ h)
    c = sg(a["update"] + u["update"] @ h)
    return (c * h + (1 - c) * tanh(a["candidate"] + feedback * h),)


def scrn(u, a, inner, s):
    h, context = s
    context = 0.05 * a["context"] + 0.95 * context
    return sg(u["context_to_hidden"] @ context + a["hidden"] + u["hidden"] @ h), context


def mut1(u, a, inner, s):
    (h,) = s
    z, r = sg(a["update"]), sg(a["reset"] + u["reset"] @ h)
    y = tanh(u["candidate"] @ (r * h) + tanh(a["candidate"]) + inner["candidate_recurrent"])
    return (y * z + h * (1 - z),)


def mut3(u, a, inner, s):
    (h,) = s
    z, r = sg(a["update"] + u["update"] @ tanh(h)), sg(a["reset"] + u["reset"] @ h)
    return (tanh(u["candidate"] @ (r * h) + a["candidate"]) * z + h * (1 - z),)


def atr(u, a, inner, s):
    (h,) = s
    p, q = a["hidden"], u["hidden"] @ h
    return (sg(p + q) * p + sg(p - q) * h,)


def rhn(u, a, inner, s):
    (h,) = s
    for layer in (1, 2, 3):
        names = f"transform_{layer}", f"candidate_{layer}"
        given = [(a if layer == 1 else inner)[name] for name in names]
        t, y = (b + u[name] @ h for b, name in zip(given, names, strict=True))
        h = tanh(y) * sg(t) + h * (1 - sg(t))
    return (h,)


def lstm_multiplicative(u, a, inner, s):
    h, c = s
    m = a["factor"] * (u["factor"] @ h)
    f, i, o, g = (a[k] + u[k] @ m for k in ("forget", "input", "output", "candidate"))
    c = sg(f) * c + sg(i) * tanh(g)
    return sg(o) * tanh(c), c


LSTMS = (lstm_peephole, lstm_coupled, lstm_no_forget, lstm_layer_norm, lstm_projected, lstm_multiplicative)
OTHERS = (janet, ugrnn, cfn, star, ligru, ran, fastrnn, fastgrnn, brc, nbrc, scrn, mut1, mut3, atr, rhn)
STEPS = {step.__name__: step for step in (*LSTMS, *OTHERS)}
