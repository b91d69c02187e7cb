#!/usr/bin/env python3
"""Writes training.txt: batch norm, losses and optimiser steps as PyTorch computes them in double.

Each line is `name count value...`, values in repr, so that they read back to the same double.
Usage: make_training_golden.py > training.txt   (PyTorch 2.x)
"""
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
generator = torch.Generator().manual_seed(7)


def normal(*shape):
    # Rounded to float, so that single precision starts from the same inputs.
    return torch.randn(*shape, generator=generator).float().double()


def put(name, tensor):
    values = tensor.detach().reshape(-1).tolist()
    print(name, len(values), *(repr(v) for v in values))


def batch_norm():
    rows, c = 12, 5
    x = (normal(rows, c) * 2 + 3).float().double().requires_grad_()
    gamma, beta = normal(c).requires_grad_(), normal(c).requires_grad_()
    gy = normal(rows, c)
    for name, act in (("none", lambda v: v), ("relu", F.relu), ("hard_swish", F.hardswish)):
        y = act(F.batch_norm(x, None, None, gamma, beta, training=True, eps=1e-3))
        gx, ggamma, gbeta = torch.autograd.grad(y, (x, gamma, beta), gy)
        for key, value in (("y", y), ("gx", gx), ("ggamma", ggamma), ("gbeta", gbeta)):
            put(f"batch_norm.{name}.{key}", value)
    for key, value in (("x", x), ("gamma", gamma), ("beta", beta), ("gy", gy), ("mean", x.mean(0)),
                       ("var", x.var(0, unbiased=False))):
        put(f"batch_norm.{key}", value)


def losses():
    rows, classes = 6, 7
    x, teacher = (normal(rows, classes) * 3).requires_grad_(), normal(rows, classes) * 3
    target = torch.randint(classes, (rows,), generator=generator)
    put("loss.x", x), put("loss.teacher", teacher), put("loss.target", target)
    for smoothing in (0.0, 0.125):
        loss = F.cross_entropy(x, target, label_smoothing=smoothing)
        put(f"cross_entropy.{smoothing}.loss", loss), put(f"cross_entropy.{smoothing}.gx", torch.autograd.grad(loss, x)[0])
    for temperature in (1.0, 4.0):
        loss = temperature**2 * F.kl_div(F.log_softmax(x / temperature, 1), F.log_softmax(teacher / temperature, 1),
                                         reduction="batchmean", log_target=True)
        put(f"kl_div.{temperature}.loss", loss), put(f"kl_div.{temperature}.gx", torch.autograd.grad(loss, x)[0])


def optimisers():
    count, steps = 19, 5
    start, gradients = normal(count), normal(steps, count)
    put("optimiser.start", start), put("optimiser.gradients", gradients)
    for name, make in (
        ("sgd", lambda p: torch.optim.SGD([p], lr=0.125, momentum=0.875, weight_decay=0.0625, nesterov=True)),
        ("adamw", lambda p: torch.optim.AdamW([p], lr=0.125, betas=(0.875, 0.984375), eps=1e-6, weight_decay=0.25)),
    ):
        p = start.clone().requires_grad_()
        optimiser = make(p)
        for step in range(steps):
            p.grad = gradients[step].clone()
            optimiser.step()
            put(f"{name}.{step}", p)


batch_norm()
losses()
optimisers()
