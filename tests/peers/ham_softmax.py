#!/usr/bin/env python3
"""Losses and gradients of WeSpeaker's HyperbolicAMSoftmax, for crates/models/tests/models/heads.rs.

    python3 tests/peers/ham_softmax.py WESPEAKER tests/data/models/margin_heads.safetensors tests/data/models/ham_softmax.safetensors

WESPEAKER is a checkout of wenet-e2e/wespeaker, whose class is run from there in double precision, on the embeddings `x`, centres `w`
(every third) and labels `y` of the second file. Both are scaled: some rows are within the ball, some are outside
of it. Needs torch and safetensors.
"""

import importlib.util
import pathlib
import sys

import torch
from safetensors.torch import load_file, save_file


def main():
    folder, inputs, out = sys.argv[1:]
    path = pathlib.Path(folder) / "wespeaker/models/projections.py"
    specification = importlib.util.spec_from_file_location("projections", path)
    projections = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(projections)
    inputs = load_file(inputs)
    x, w, y = inputs["x"] * 0.12, inputs["w"][::3] * 0.13, inputs["y"]
    tensors = {"x": x, "w": w}
    for name, options in [
        ("curved", dict(margin=0.2, scale=30.0, curvature=3.0)),
        ("unit", dict(margin=0.3, scale=20.0, curvature=1.0)),
    ]:
        head = projections.HyperbolicAMSoftmax(x.shape[1], w.shape[0], **options).double()
        with torch.no_grad():
            head.weight.copy_(w.double())
        embeddings = x.double().requires_grad_()
        logits = head(embeddings, y)
        loss = torch.nn.functional.cross_entropy(logits, y)
        loss.backward()
        values = dict(logits=logits, loss=loss.reshape(1), grad_x=embeddings.grad, grad_w=head.weight.grad)
        for what, value in values.items():
            tensors[f"{name}.{what}"] = value.detach().clone().contiguous()
        inside = [int((rows.norm(dim=1) < options["curvature"] ** -0.5).sum()) for rows in (x, w)]
        print(f"{name}: loss {float(loss.detach()):.4f}; within the ball {inside[0]} of {len(x)} embeddings, {inside[1]} of {len(w)} centres")
    save_file(tensors, out)


if __name__ == "__main__":
    main()
