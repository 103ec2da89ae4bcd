#!/usr/bin/env python3
"""What speed.rs times, in PyTorch, in f32, TF32 and bf16. Prints the same lines, with the precision after the work.

    benches/gpu/torch_speed.py [--device cuda:0] [--networks resnet34-c32,...] [--batch 128] [--seconds 5]
"""

import argparse
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "peers"))
import torch

from networks import MELS, MODELS, SPEAKERS, AamSoftmax

CROP, UTTERANCE = 200, 400


def rate(seconds, work, wait):
    """Repetitions of the work a second."""
    for _ in range(3):
        work()
        wait()
    begun = time.perf_counter()
    work()
    wait()
    count = min(10_000, max(1, int(seconds / (time.perf_counter() - begun)) + 1))
    begun = time.perf_counter()
    for _ in range(count):
        work()
    wait()
    return count / (time.perf_counter() - begun)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--networks", default="resnet34-c32,ecapa-c1024,cam++")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--extraction-batch", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=5.0)
    args = parser.parse_args()
    device = torch.device(args.device)
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None

    for name in args.networks.split(","):
        make, embedding = MODELS[name]
        for precision in ("f32", "tf32", "bf16"):
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision != "f32"
            autocast = torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
            model, head = make().to(device), AamSoftmax(embedding).to(device)
            optimizer = torch.optim.SGD([*model.parameters(), *head.parameters()], lr=1e-3, momentum=0.9)
            features = torch.rand(args.batch, MELS, CROP, device=device)
            speakers = (torch.arange(args.batch) * 7 % SPEAKERS).to(device)

            def step():
                optimizer.zero_grad()
                with autocast:
                    embeddings = model(features)
                head(embeddings.float(), speakers).backward()
                optimizer.step()

            print(f"{name}\tstep {precision}\t{args.batch}\t{args.batch * rate(args.seconds, step, wait):.1f}", flush=True)
            model.eval()
            for batch in (1, args.extraction_batch):
                recordings = torch.rand(batch, MELS, UTTERANCE, device=device)

                def extract():
                    with torch.inference_mode(), autocast:
                        model(recordings)

                speed = batch * rate(args.seconds, extract, wait)
                print(f"{name}\textract {precision}\t{batch}\t{speed:.1f}", flush=True)


main()
