#!/usr/bin/env python3
"""Losses and gradients of WeSpeaker's SphereFace2, for crates/models/tests/models/heads.rs.

    python3 tests/peers/sphere_face2.py WESPEAKER tests/data/models/margin_heads.safetensors tests/data/models/sphere_face2.safetensors

WESPEAKER is a checkout of wenet-e2e/wespeaker, whose class is run from there in double precision, on the embeddings `x`, centres `w`
(every third) and labels `y` of the second file. Needs torch and safetensors.
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
    x, w, y = inputs["x"].double(), inputs["w"][::3].double(), inputs["y"]
    tensors = {}
    for name, options in [
        ("cosine", dict(margin=0.2, margin_type="C", t=3)),
        ("cosine_1", dict(margin=0.3, margin_type="C", t=1, lanbuda=0.6)),
        ("angle", dict(margin=0.15, margin_type="A", t=3)),
    ]:
        head = projections.SphereFace2(x.shape[1], w.shape[0], **options).double()
        with torch.no_grad():
            head.weight.copy_(w)
            head.bias.fill_(-0.3)
        embeddings = x.clone().requires_grad_()
        logits, loss = head(embeddings, y)
        loss.backward()
        values = dict(logits=logits, loss=loss.reshape(1), grad_x=embeddings.grad)
        values |= dict(grad_w=head.weight.grad, grad_b=head.bias.grad)
        for what, value in values.items():
            tensors[f"{name}.{what}"] = value.detach().clone().contiguous()
    save_file(tensors, out)


if __name__ == "__main__":
    main()
