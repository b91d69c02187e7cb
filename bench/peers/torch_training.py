#!/usr/bin/env python3
"""Training steps of the reference networks: PyTorch against `offramp profile --train`, in alternation.

    python3 bench/peers/torch_training.py --offramp build/offramp --net min32 --threads 1,2 --rounds 5

A step is forward, cross-entropy (of every exit), backward and one SGD update with Nesterov momentum 0.9 and weight decay
4e-5, on random images. PyTorch runs float32 in both memory formats; every round times each contender once,
for --seconds, and a ratio is the median over the rounds of (PyTorch's step / ours) in that round.
Parameters (normalisations folded) and multiply-accumulates must equal what `offramp space cost` says, else nothing is timed
(torch_networks.py).
"""
import argparse
import statistics
import time

import torch

from torch_networks import AEBNAS, ask, make, require_same, space_of, sum_of_losses


def stepper(net, batch, memory_format):
    torch.manual_seed(1)
    model, side = make(net)
    model = model.to(memory_format=memory_format).train()
    x = torch.randn(batch, 3, side, side).to(memory_format=memory_format)
    y = torch.randint(10, (batch,))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, weight_decay=4e-5, nesterov=True)

    def step():
        optimizer.zero_grad(set_to_none=True)
        sum_of_losses(model(x), y).backward()
        optimizer.step()

    return step


def median_ms(step, seconds):
    step()
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--offramp", default="build/offramp")
    parser.add_argument("--net", default=",".join(AEBNAS))
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--formats", default="contiguous,channels_last")
    args = parser.parse_args()
    formats = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
    formats = {name: formats[name] for name in args.formats.split(",")}

    print(f"PyTorch {torch.__version__}, batch {args.batch}, median of {args.rounds} alternating rounds")
    print("| network | threads | contender | ms a step | images/s | step / ours (median; least) |")
    print("|---|--:|---|--:|--:|--:|")
    for net in args.net.split(","):
        model, side = make(net)
        require_same(args.offramp, net, model, side)
        space, genotype = space_of(args.offramp, net)
        for threads in map(int, args.threads.split(",")):
            torch.set_num_threads(threads)
            steps = {name: stepper(net, args.batch, f) for name, f in formats.items()}
            times = {name: [] for name in ["offramp", *steps]}
            for _ in range(args.rounds):
                for name, step in steps.items():
                    times[name].append(median_ms(step, args.seconds))
                times["offramp"].append(ask(
                    args.offramp, "profile", "--space", space, "--genotype", genotype, "--train",
                    "--batch", str(args.batch), "--threads", str(threads))["step_ms"]["median"])
            for name, ms in times.items():
                ratios = [t / o for t, o in zip(ms, times["offramp"])]
                middle = statistics.median(ms)
                print(f"| {net} | {threads} | {name} | {middle:.1f} | {args.batch * 1e3 / middle:.0f} | "
                      f"{statistics.median(ratios):.2f}; {min(ratios):.2f} |", flush=True)


if __name__ == "__main__":
    main()
