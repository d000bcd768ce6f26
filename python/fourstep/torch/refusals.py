"""What a step refuses, and in which words: who, which parameter, what it got, what it needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch

from fourstep.torch.local import is_distributed, is_plain, local

_DTYPES = (torch.float32, torch.float64, torch.bfloat16)


def name_of(group: Mapping[str, Any], index: int, i: int) -> str:
    """Return the parameter's name, where torch was given ``named_parameters()``; else its place."""
    names = group.get("param_names")
    return f"parameter {names[i]!r}" if names else f"parameter {i} of group {index}"


def flags(who: str, group: Mapping[str, Any]) -> None:
    """Refuse what cannot be had; ``foreach`` and ``fused`` choose among torch's loops and do no harm."""
    if group.get("differentiable"):
        raise ValueError(
            f"{who}: differentiable: got True, need False: autograd does not see this step; torch.optim's can be"
        )
    if group.get("capturable"):
        raise ValueError(
            f"{who}: capturable: got True, need False: it is for graphs of a GPU, this step runs on the CPU"
        )


def parameter(who: str, name: str, p: torch.Tensor) -> None:
    """Refuse a parameter that the kernels cannot update in place."""
    if isinstance(p, torch.nn.parameter.UninitializedTensorMixin):
        raise ValueError(f"{who}: {name}: has no shape yet; run the model once before the step")
    _memory(who, name, p)
    here = local(p)
    if not _is_dense(here):
        raise ValueError(
            f"{who}: {name}: got strides {here.stride()} for shape {tuple(here.shape)}, need a dense tensor: "
            "no gaps, no element twice (a clone() is dense)"
        )


def gradient(who: str, name: str, p: torch.Tensor, g: torch.Tensor) -> None:
    """Refuse a gradient that is not as its parameter is."""
    name = f"the gradient of {name}"
    if g.layout != torch.strided:
        kind = str(g.layout).removeprefix("torch.")
        raise RuntimeError(
            f"{who}: {name}: got a sparse one ({kind}), need a dense one (Embedding(sparse=False)); "
            "SGD, Adagrad and SparseAdam take sparse ones"
        )
    _memory(who, name, g)
    _alike(who, name, p, g)


def state(who: str, name: str, p: torch.Tensor, tensors: Mapping[str, Any]) -> None:
    """Refuse state that is not as its parameter is."""
    for key, tensor in tensors.items():
        where = f"{key} of {name}"
        if not isinstance(tensor, torch.Tensor):
            raise TypeError(f"{who}: {where}: got {type(tensor).__name__}, need a tensor")
        _memory(who, where, tensor)
        _alike(who, where, p, tensor)


def overlap(who: str, tensors: Iterable[tuple[str, Any, Any, Mapping[str, Any]]]) -> None:
    """Refuse two tensors of a step that share memory, where one is written."""
    ranges = []
    for name, p, g, held in tensors:
        named = [(name, p, True), (f"the gradient of {name}", g, False)]
        named += [(f"{key} of {name}", tensor, True) for key, tensor in held.items()]
        for text, tensor, written in named:
            here = local(tensor)
            start = here.data_ptr()
            ranges.append((start, start + here.numel() * here.element_size(), written, text))
    ranges.sort()
    open_ones: list[tuple[int, int, bool, str]] = []
    for start, end, written, text in ranges:
        open_ones = [one for one in open_ones if one[1] > start]
        for other in open_ones:
            if end > start and (written or other[2]):
                raise RuntimeError(
                    f"{who}: {other[3]} and {text} share memory, and the step writes to it; "
                    "parameters that are one (tied) must be one Parameter"
                )
        open_ones.append((start, end, written, text))


def _memory(who: str, name: str, tensor: torch.Tensor) -> None:
    if not is_plain(tensor) and not is_distributed(tensor):
        raise TypeError(
            f"{who}: {name}: got a {type(tensor).__name__}, whose memory this step does not know; "
            "need a torch.Tensor, or a DTensor"
        )
    if tensor.layout != torch.strided:
        raise TypeError(f"{who}: {name}: got a tensor of layout {tensor.layout}, need a dense (strided) one")
    if tensor.device.type != "cpu":
        raise ValueError(
            f"{who}: {name}: got a tensor on {tensor.device}, need one on the CPU, where this step runs; "
            "move the model with .cpu(), or use torch.optim's for it"
        )
    if tensor.dtype not in _DTYPES:
        raise TypeError(
            f"{who}: {name}: got {tensor.dtype}, need {', '.join(str(dtype) for dtype in _DTYPES)}"
        )
    if tensor.is_neg():
        raise ValueError(f"{who}: {name}: got a tensor that is negated lazily, need resolve_neg() of it")


def _alike(who: str, name: str, p: torch.Tensor, tensor: torch.Tensor) -> None:
    if is_distributed(p) != is_distributed(tensor) or (
        is_distributed(p) and (p.placements, p.device_mesh) != (tensor.placements, tensor.device_mesh)
    ):
        raise ValueError(f"{who}: {name}: is not spread over the processes as its parameter is")
    p, tensor = local(p), local(tensor)
    if tensor.dtype != p.dtype:
        raise TypeError(f"{who}: {name}: got {tensor.dtype}, need {p.dtype}, the dtype of the parameter")
    if tensor.shape != p.shape:
        raise ValueError(f"{who}: {name}: got shape {tuple(tensor.shape)}, need {tuple(p.shape)}")
    if _axes(tensor) != _axes(p):
        raise ValueError(
            f"{who}: {name}: got strides {tensor.stride()}, need {p.stride()}, the order in memory of its parameter "
            "(torch.empty_like(p).copy_(it))"
        )


def _axes(tensor: torch.Tensor) -> list[tuple[int, int]]:
    if tensor.numel() <= 1:
        return []
    return [(stride, size) for stride, size in zip(tensor.stride(), tensor.shape, strict=True) if size != 1]


def _is_dense(tensor: torch.Tensor) -> bool:
    next_stride = 1
    for stride, size in sorted(_axes(tensor)):
        if stride != next_stride:
            return False
        next_stride *= size
    return True
