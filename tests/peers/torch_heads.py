#!/usr/bin/env python3
"""Logits, losses and gradients of margin heads from PyTorch's autograd, for crates/models/tests/models/heads.rs.

    python3 tests/peers/torch_heads.py tests/data/models/margin_heads.safetensors

Needs numpy, safetensors and torch. The formulas are written as in the papers, with the angle itself (arc cosine), in
double precision; the inputs are rounded to single. Row 0 lies near a centre of its class, row 1 nearly opposite to all
of them.
"""
import math
import sys

import torch
from safetensors.torch import save_file
from torch.nn.functional import cross_entropy, normalize

BATCH, SIZE, CLASSES, CENTRES = 8, 16, 9, 3


def angles(x, w):
    return torch.acos(normalize(x) @ normalize(w).T)


def aam(theta, target, margin):
    """ArcFace's cos(theta + m); past pi the baseline's cos(theta) - m sin(pi - m)."""
    beyond = theta + margin >= math.pi
    rotated = torch.where(beyond, theta.cos() - margin * math.sin(math.pi - margin), (theta + margin).cos())
    return torch.where(target, rotated, theta.cos())


def sub_centre_aam(x, w, y, margin, scale, top_k, penalty):
    """Deng et al. 2020, eq. 2 (the nearest centre of each class), and Zhao et al. 2021, eq. 8 (cos(theta - m'))."""
    theta = angles(x, w).reshape(BATCH, -1, w.shape[0] // CLASSES).min(2).values
    target = torch.eye(CLASSES, dtype=torch.bool)[y]
    logits = aam(theta, target, margin)
    if top_k:
        rivals = torch.topk(theta.detach().masked_fill(target, 10.0), top_k, largest=False).indices
        rival = torch.zeros_like(target).scatter(1, rivals, True)
        logits = torch.where(rival, (theta - penalty).cos(), logits)
    return scale * logits


def sphere_face(x, w, y, multiple, weight):
    """Liu et al. 2017, eq. 7 and 8, with the weight lambda of the authors' program."""
    theta = angles(x, w)
    target = torch.eye(CLASSES, dtype=torch.bool)[y]
    k = torch.floor(multiple * theta.detach() / math.pi)
    psi = (-1.0) ** k * (multiple * theta).cos() - 2 * k
    mixed = (weight * theta.cos() + psi) / (1 + weight)
    return x.norm(dim=1, keepdim=True) * torch.where(target, mixed, theta.cos())


def main():
    torch.manual_seed(20)
    w = torch.randn(CLASSES * CENTRES, SIZE)
    y = torch.randint(CLASSES, (BATCH,))
    x = 2 * torch.randn(BATCH, SIZE)
    x[0] = 3 * w[y[0] * CENTRES + 1] + 0.1 * x[0]
    w[y[1] * CENTRES : (y[1] + 1) * CENTRES] = w[y[1] * CENTRES] + 0.05 * torch.randn(CENTRES, SIZE)
    x[1] = -w[y[1] * CENTRES] + 0.05 * x[1]
    out = {"x": x, "w": w, "y": y}

    cases = {
        "sub_centre": lambda x, w: sub_centre_aam(x, w, y, 0.2, 32.0, 0, 0.0),
        "inter_top_k": lambda x, w: sub_centre_aam(x, w[:: CENTRES], y, 0.2, 32.0, 3, 0.06),
        "both": lambda x, w: sub_centre_aam(x, w, y, 0.3, 30.0, 5, 0.1),
        # More rivals than there are.
        "all_rivals": lambda x, w: sub_centre_aam(x, w, y, 0.2, 32.0, CLASSES - 1, 0.06),
    }
    for multiple in (1, 2, 3, 4, 5):
        cases[f"sphere_{multiple}"] = lambda x, w, m=multiple: sphere_face(x, w[:: CENTRES], y, m, 5.0)
    cases["sphere_4_alone"] = lambda x, w: sphere_face(x, w[:: CENTRES], y, 4, 0.0)
    for name, logits_of in cases.items():
        a, b = x.double().requires_grad_(), w.double().requires_grad_()
        logits = logits_of(a, b)
        loss = cross_entropy(logits, y)
        loss.backward()
        for what, value in [("logits", logits), ("loss", loss.reshape(1)), ("grad_x", a.grad), ("grad_w", b.grad)]:
            out[f"{name}.{what}"] = value.detach().clone().contiguous()
    save_file(out, sys.argv[1])


main()
