"""The ONNX node tests that the operators of `offramp op` can express, in this program's layout."""
import warnings

import numpy as np


def onnx_cases():
    """(name, op, inputs, attrs, wanted outputs) of the node tests that this program's operators can express."""
    from onnx import helper, numpy_helper
    from onnx.backend.test.case.node import collect_testcases

    simple = {"Relu": "relu", "HardSwish": "hard_swish", "Sigmoid": "sigmoid", "Softmax": "softmax",
              "LogSoftmax": "log_softmax"}
    with warnings.catch_warnings():  # other operators' cases overflow on purpose
        warnings.simplefilter("ignore")
        cases = collect_testcases(None)
    for case in cases:
        if len(case.model.graph.node) != 1:
            continue
        node = case.model.graph.node[0]
        a = {x.name: helper.get_attribute_value(x) for x in node.attribute}
        for data_inputs, outputs in case.data_sets:
            arrays = [numpy_helper.to_array(v) if hasattr(v, "raw_data") and not isinstance(v, np.ndarray) else v
                      for v in data_inputs]
            inputs = dict(zip([n for n in node.input if n], arrays))
            ordered = [inputs.get(n) for n in node.input]
            wanted = [numpy_helper.to_array(v) if hasattr(v, "raw_data") and not isinstance(v, np.ndarray) else v
                      for v in outputs]
            found = None
            try:
                found = translate(node.op_type, ordered, a, wanted, simple)
            except (KeyError, ValueError, IndexError, AttributeError, TypeError):
                continue
            if found and ordered[0].dtype == np.float32:
                yield (case.name, *found)


def channels_last(x):
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1))


def same(values):
    values = list(values)
    if len(set(values)) != 1:
        raise ValueError("not the same in every direction")
    return int(values[0])


def translate(kind, x, a, wanted, simple):
    if kind in simple:
        if kind in ("Softmax", "LogSoftmax") and a.get("axis", -1) not in (-1, x[0].ndim - 1):
            return None
        return simple[kind], {"x": x[0]}, {}, {"y": wanted[0]}
    if kind == "Gemm":
        if a.get("alpha", 1.0) != 1 or a.get("beta", 1.0) != 1 or (len(x) > 2 and x[2].size != wanted[0].shape[1]):
            return None
        left = x[0].T if a.get("transA") else x[0]
        right = x[1] if a.get("transB") else x[1].T
        inputs = {"x": np.ascontiguousarray(left), "w": np.ascontiguousarray(right)}
        if len(x) > 2:
            inputs["b"] = x[2].reshape(-1)
        return "linear", inputs, {}, {"y": wanted[0]}
    if kind == "BatchNormalization":
        names = ["x", "gamma", "beta", "mean", "var"]
        inputs = dict(zip(names, [channels_last(x[0])] + x[1:5]))
        training, momentum = a.get("training_mode", 0), a.get("momentum", 0.9)
        attrs = {"eps": a.get("epsilon", 1e-5), "training": training, "momentum": 1 - momentum}
        outputs = {"y": channels_last(wanted[0])}
        if training:  # there the running variance is updated with the biased variance: compare what both define
            rows = x[0].size // x[0].shape[1]
            outputs["mean"] = wanted[1]
            outputs["var"] = (wanted[2] - momentum * x[4]) * rows / (rows - 1) + momentum * x[4]
        return "batch_norm", inputs, attrs, outputs
    if kind == "SoftmaxCrossEntropyLoss":
        if len(x) != 2 or x[0].ndim != 2 or len(wanted) != 1 or a.get("reduction", b"mean") != b"mean" or "ignore_index" in a:
            return None
        return "cross_entropy", {"x": x[0], "t": x[1].astype(np.int64)}, {}, {"y": wanted[0].reshape(())}
    if x[0].ndim != 4 or wanted[0].ndim != 4:
        return None
    out = {"y": channels_last(wanted[0])}
    if kind == "GlobalAveragePool":
        return "global_avg_pool", {"x": channels_last(x[0])}, {}, out
    if kind == "Resize":
        mode, transform = a.get("mode", b"nearest"), a.get("coordinate_transformation_mode", b"half_pixel")
        if mode not in (b"linear", b"cubic") or transform != b"half_pixel" or a.get("antialias") or "axes" in a:
            return None
        if a.get("exclude_outside") or a.get("cubic_coeff_a", -0.75) != -0.75 or x[0].shape[:2] != wanted[0].shape[:2]:
            return None
        oh, ow = wanted[0].shape[2:]
        if len(x) > 2 and x[2] is not None and x[2].size:  # a scale must be the ratio of the sizes
            if not np.allclose(x[2][2:] * x[0].shape[2:], (oh, ow), atol=1e-4):
                return None
        return ("resize_bilinear" if mode == b"linear" else "resize_bicubic", {"x": channels_last(x[0])},
                {"out_h": oh, "out_w": ow}, out)
    if kind not in ("Conv", "MaxPool", "AveragePool"):
        return None
    if a.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID") or a.get("ceil_mode") or a.get("count_include_pad"):
        return None
    if set(a.get("dilations", [1])) != {1} or len(wanted) != 1:
        return None
    pad, stride = same(a.get("pads", [0])), same(a.get("strides", [1]))
    kernel = same(a.get("kernel_shape", x[1].shape[2:] if kind == "Conv" else []))
    if kind == "Conv":
        inputs = {"x": channels_last(x[0]), "w": channels_last(x[1])}
        if len(x) > 2:
            inputs["b"] = x[2]
        return "conv2d", inputs, {"stride": stride, "pad": pad, "groups": a.get("group", 1)}, out
    if 2 * pad > kernel:
        return None  # refused by definition
    return ("max_pool2d" if kind == "MaxPool" else "avg_pool2d", {"x": channels_last(x[0])},
            {"kernel": kernel, "stride": stride, "pad": pad}, out)
