#!/usr/bin/env python3
"""The reference networks on a card: PyTorch's best against gpu_bench, on the same card in the same run.

    python3 bench/peers/torch_gpu.py --bench build/card/gpu_bench --offramp build/card/offramp --out build/gpu-peers.jsonl

PyTorch runs channels_last under bf16 autocast with cudnn.benchmark, in four ways: eager; the whole step or pass captured as
one CUDA graph by hand; torch.compile; torch.compile with CUDA graphs (mode reduce-overhead). Its best is compared. Times
are medians of event-timed repetitions, ours are taken before and after PyTorch's and the slower one counts.
A training step is forward, the sum of the exits' cross-entropies, backward and SGD with Nesterov momentum (fused where
PyTorch has it); ours also clips the gradient. Inference goes to the final exit, early ones are off. What is in --out already is
not measured again, so a run may be cut and repeated. A network whose parameters or multiply-accumulates up to any exit are not
those that offramp counts is not timed; --check asks that alone and needs no card.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time

import torch

from torch_networks import NETS, make, require_same, sum_of_losses

WAYS = ["eager", "graph", "compile", "compile-graph"]
FORMAT = torch.channels_last


def training(net, batch):
    model, side = make(net)
    model = model.cuda().to(memory_format=FORMAT).train()
    x = torch.randn(batch, 3, side, side, device="cuda").to(memory_format=FORMAT)
    y = torch.randint(10, (batch,), device="cuda")
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, weight_decay=4e-5, nesterov=True, fused=True)

    def loss_of(x, y):
        with torch.autocast("cuda", dtype=torch.bfloat16):
            return sum_of_losses(model(x), y)

    def step(loss_of=loss_of):
        optimizer.zero_grad(set_to_none=True)
        loss_of(x, y).backward()
        optimizer.step()

    return step, loss_of


def inference(net, batch):
    model, side = make(net)
    model = model.cuda().to(memory_format=FORMAT).eval()
    x = torch.randn(batch, 3, side, side, device="cuda").to(memory_format=FORMAT)

    def logits_of(x):
        with torch.no_grad(), torch.autocast("cuda", dtype=torch.bfloat16):
            return model(x, early=False)

    return lambda forward=logits_of: forward(x), logits_of


def as_graph(run):
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            run()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return graph.replay


def prepared(make_run, way):
    run, inner = make_run()
    if way == "eager":
        return run
    if way == "graph":
        return as_graph(run)
    compiled = torch.compile(inner, mode="reduce-overhead" if way == "compile-graph" else None)
    return lambda: run(compiled)


def median_ms(run, repeats):
    for _ in range(5):
        run()
    times = []
    for _ in range(repeats):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        run()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end))
    return statistics.median(times)


def ours(bench, net, mode, batch, macs):
    out = subprocess.run([bench, "--networks", net, "--mode", mode, "--batch", str(batch), "--json"], check=True,
                         capture_output=True, text=True).stdout
    network = json.loads(out)["networks"][0]
    if network["macs"] != macs:
        raise SystemExit(f"{net}: gpu_bench runs a network of {network['macs']} MACs, {macs} here: not the same network")
    return network["graph_ms"]


def checked_network(offramp, net):
    """MACs to the end, and what is said of the network after it was found to be ours."""
    model, side = make(net)
    parameters, macs = require_same(offramp, net, model, side)
    return macs[-1], (f"{net}: {parameters} parameters, {macs[-1]} MACs, side {side}, {len(macs)} exits, "
                      "as offramp counts them")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", default="build/card/gpu_bench")
    parser.add_argument("--offramp", default="build/card/offramp")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--net", default=",".join(NETS))
    parser.add_argument("--cases", default="train:512,infer:1,infer:1024")
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--out", default="build/gpu-peers.jsonl")
    args = parser.parse_args()
    checked = {net: checked_network(args.offramp, net) for net in args.net.split(",")}
    if args.check:
        print("\n".join(line for _, line in checked.values()))
        return 0
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    done = {}
    if os.path.exists(args.out):
        with open(args.out) as file:
            done = {(r["net"], r["case"], r["way"]): r["ms"] for r in map(json.loads, file)}
    compared = True
    print(f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}")
    for net, (macs, line) in checked.items():
        print(line)
        for case in args.cases.split(","):
            mode, batch = case.split(":")[0], int(case.split(":")[1])
            times = {}

            def measure(way, run):
                if (net, case, way) not in done:
                    start = time.time()
                    try:
                        ms = run()
                    except Exception as error:  # one way that fails must not hide the others
                        ms = None
                        print(f"    {way}: {type(error).__name__}: {str(error).splitlines()[0][:150]}")
                    done[net, case, way] = ms
                    with open(args.out, "a") as file:
                        file.write(json.dumps({"net": net, "case": case, "way": way, "ms": ms,
                                               "took_s": round(time.time() - start, 1)}) + "\n")
                times[way] = done[net, case, way]

            measure("ours-before", lambda: ours(args.bench, net, mode, batch, macs))
            for way in args.ways.split(","):
                build = training if mode == "train" else inference
                measure(way, lambda: median_ms(prepared(lambda: build(net, batch), way), args.repeats))
                torch._dynamo.reset()
            measure("ours-after", lambda: ours(args.bench, net, mode, batch, macs))
            mine = [times.pop(k) for k in ("ours-before", "ours-after")]
            peers = {way: ms for way, ms in times.items() if ms}
            best = min(peers, key=peers.get, default=None)
            row = "  ".join(f"{way} {ms:.3f}" for way, ms in peers.items())
            if best and None not in mine:
                print(f"  {case}: ours {max(mine):.3f} ms  PyTorch: {row}  best {best} / ours = "
                      f"{peers[best] / max(mine):.2f}", flush=True)
            else:
                print(f"  {case}: ours {mine}  PyTorch: {row}", flush=True)
                compared = False
    return 0 if compared else 1


if __name__ == "__main__":
    sys.exit(main())
