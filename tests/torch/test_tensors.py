"""Which tensors a step takes, and which it refuses: with the parameter's name, and nothing changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: fourstep.torch was not tested")
import fourstep.torch as ft  # noqa: E402


def with_grad(data: Any) -> Any:
    p = torch.nn.Parameter(data)
    p.grad = torch.randn_like(p, memory_format=torch.preserve_format)
    return p


def twins(data: Any) -> tuple[Any, Any]:
    """A parameter, and another that lies in memory as it does."""
    p = with_grad(data)
    q = torch.nn.Parameter(torch.empty_like(p, memory_format=torch.preserve_format).copy_(data))
    q.grad = p.grad.clone()
    return p, q


LAYOUTS: dict[str, Callable[[], Any]] = {
    "transposed": lambda: torch.randn(5, 7).t(),
    "permuted": lambda: torch.randn(3, 4, 5).permute(1, 2, 0),
    "channels_last": lambda: torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
    "size_one_axes": lambda: torch.randn(4, 6)[:, None, :].expand(4, 1, 6),
    "odd_offset": lambda: torch.randn(101)[3:],
    "one_of_many": lambda: torch.randn(10, 10)[3, 4],
    "one_with_a_stride": lambda: torch.randn(10, 10)[3:4, 4:5],
    "empty": lambda: torch.randn(0, 4),
    "empty_sliced": lambda: torch.randn(6, 6)[2:2, ::2],
    "scalar": lambda: torch.randn(()),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_dense_in_any_order(kind: Any, layout: str, near: Any) -> None:
    torch.manual_seed(0)
    p, q = twins(LAYOUTS[layout]())
    ours, theirs = kind.make([p]), kind.rival([q])
    for _ in range(3):
        ours.step()
        theirs.step()
    near(p.detach(), q.detach())
    for state in ours.state.values():
        for key, value in state.items():
            assert key in ("step", "mu_product") or value.shape == p.shape


def test_nothing_outside_a_view_is_written(kind: Any) -> None:
    base = torch.randn(100)
    before = base.clone()
    p = torch.nn.Parameter(base[20:57])
    p.grad = torch.randn(37)
    kind.make([p]).step()
    assert not torch.equal(base[20:57], before[20:57])
    assert torch.equal(base[:20], before[:20])
    assert torch.equal(base[57:], before[57:])


def test_state_of_a_file_takes_the_order_of_the_parameter(near: Any) -> None:
    """Saved from a contiguous model, loaded into one in channels_last."""
    data = torch.randn(2, 3, 4, 5)
    plain = with_grad(data.clone())
    saved = torch.optim.Adam([plain])
    saved.step()
    other = with_grad(data.to(memory_format=torch.channels_last))
    other.data.copy_(plain.data)
    other.grad.copy_(plain.grad)
    ours = ft.Adam([other])
    ours.load_state_dict(saved.state_dict())
    saved.step()
    ours.step()
    near(other.detach(), plain.detach())


def _gradient(p: Any, g: Any) -> Any:
    p.grad = g
    return p


def _lazy_negative() -> Any:
    p = torch.nn.Parameter(torch.randn(()))
    p.grad = torch.randn((), dtype=torch.complex64).conj().imag
    return p


class Wrapper(torch.Tensor):  # type: ignore[misc, name-defined]
    """Has no memory of its own."""

    @staticmethod
    def __new__(cls, inner: Any) -> Any:
        return torch.Tensor._make_wrapper_subclass(cls, inner.shape, dtype=inner.dtype)

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise NotImplementedError


REFUSED: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "float16": (
        lambda: torch.nn.Parameter(torch.ones(3, dtype=torch.float16)),
        TypeError,
        r"Adam: parameter 1 of group 0: got torch.float16, need torch.float32, ",
    ),
    "complex": (
        lambda: torch.nn.Parameter(torch.ones(3, dtype=torch.complex64)),
        TypeError,
        "parameter 1 of group 0: got torch.complex64",
    ),
    "meta": (
        lambda: torch.nn.Parameter(torch.ones(3, device="meta")),
        ValueError,
        "got a tensor on meta, need one on the CPU",
    ),
    "slice": (
        lambda: torch.nn.Parameter(torch.ones(4, 6)[:, ::2]),
        ValueError,
        r"got strides \(6, 2\) for shape \(4, 3\), need a dense tensor",
    ),
    "expanded": (
        lambda: torch.nn.Parameter(torch.ones(1).expand(6)),
        ValueError,
        r"got strides \(0,\) for shape \(6,\), need a dense tensor",
    ),
    "self_overlap": (
        lambda: torch.nn.Parameter(torch.ones(9).as_strided((4, 3), (2, 1))),
        ValueError,
        "need a dense tensor",
    ),
    "lazy_module": (lambda: torch.nn.LazyLinear(3).weight, ValueError, "has no shape yet"),
    "wrapper": (
        lambda: Wrapper(torch.ones(3)),
        TypeError,
        "got a Wrapper, whose memory this step does not know",
    ),
    "sparse_parameter": (
        lambda: torch.eye(3).to_sparse().requires_grad_(),
        TypeError,
        "layout torch.sparse_coo",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused_at_construction(what: str) -> None:
    make, error, message = REFUSED[what]
    with pytest.raises(error, match=message):
        ft.Adam([torch.nn.Parameter(torch.ones(2)), make()])


GRADIENTS: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "sparse": (
        lambda: _gradient(torch.nn.Parameter(torch.ones(3, 2)), torch.ones(3, 2).to_sparse()),
        RuntimeError,
        "Adam: the gradient of parameter 1 of group 0: got a sparse one",
    ),
    "transposed": (
        lambda: _gradient(torch.nn.Parameter(torch.ones(3, 2)), torch.ones(2, 3).t()),
        ValueError,
        r"got strides \(1, 3\), need \(2, 1\)",
    ),
    "strided": (
        lambda: _gradient(torch.nn.Parameter(torch.ones(3)), torch.ones(6)[::2]),
        ValueError,
        r"got strides \(2,\), need \(1,\)",
    ),
    "expanded": (
        lambda: _gradient(torch.nn.Parameter(torch.ones(3)), torch.ones(1).expand(3)),
        ValueError,
        r"got strides \(0,\), need \(1,\)",
    ),
    "lazy_negative": (_lazy_negative, ValueError, "negated lazily"),
}


@pytest.mark.parametrize("what", GRADIENTS)
def test_refused_gradients_leave_all_as_it_was(what: str) -> None:
    make, error, message = GRADIENTS[what]
    first, p = with_grad(torch.randn(3)), make()
    before = first.detach().clone(), p.detach().clone()
    optimizer = ft.Adam([first, p])
    with pytest.raises(error, match=message):
        optimizer.step()
    assert torch.equal(first, before[0]) and torch.equal(p, before[1])
    assert not optimizer.state
    assert first._version == 0


def _pair(p: Any, q: Any) -> list[Any]:
    p.grad = torch.ones_like(p)
    q.grad = torch.ones_like(q)
    return [p, q]


def test_overlapping_parameters_are_refused() -> None:
    base = torch.zeros(10)
    params = _pair(torch.nn.Parameter(base[:6]), torch.nn.Parameter(base[5:]))
    with pytest.raises(RuntimeError, match="parameter 0 of group 0 and parameter 1 of group 0 share memory"):
        ft.SGD(params).step()
    assert torch.equal(base, torch.zeros(10))


def test_one_memory_under_two_parameters_is_refused() -> None:
    p = torch.nn.Parameter(torch.zeros(4))
    params = _pair(p, torch.nn.Parameter(p.data))
    with pytest.raises(RuntimeError, match=r"share memory.*tied.*one Parameter"):
        ft.SGD(params).step()


def test_a_parameter_that_is_its_own_gradient_is_refused() -> None:
    p = torch.nn.Parameter(torch.ones(4))
    p.grad = p.data
    with pytest.raises(RuntimeError, match="the gradient of parameter 0 of group 0 and parameter 0"):
        ft.SGD([p]).step()


def test_one_gradient_for_two_parameters_is_read_twice() -> None:
    p, q = torch.nn.Parameter(torch.zeros(4)), torch.nn.Parameter(torch.zeros(4))
    p.grad = q.grad = torch.ones(4)
    ft.SGD([p, q], lr=0.5).step()
    assert p.tolist() == q.tolist() == [-0.5] * 4


def test_a_parameter_twice_in_a_group_is_refused() -> None:
    p = with_grad(torch.zeros(4))
    with pytest.warns(UserWarning, match="duplicate parameters"):
        optimizer = ft.SGD([p, p])
    with pytest.raises(RuntimeError, match="share memory"):
        optimizer.step()


def test_names_of_parameters_are_said() -> None:
    model = torch.nn.Linear(3, 2)
    model.weight.grad = torch.ones(3, 2).t()
    with pytest.raises(ValueError, match="the gradient of parameter 'weight'"):
        ft.Adam(model.named_parameters()).step()


def test_no_gradient_no_step(kind: Any) -> None:
    p, q, r = with_grad(torch.ones(3)), torch.nn.Parameter(torch.ones(3)), torch.nn.Parameter(torch.ones(2))
    r.requires_grad_(False)
    optimizer = kind.make([p, q, r])
    optimizer.step()
    assert q.tolist() == [1.0] * 3 and r.tolist() == [1.0] * 2
    assert (p._version, q._version, r._version) == (1, 0, 0)
    if kind.name != "Adagrad":  # torch's makes its state in the constructor
        assert q not in optimizer.state and r not in optimizer.state


def test_parameters_that_start_late_count_for_themselves(kind: Any, near: Any) -> None:
    torch.manual_seed(1)
    ours = [torch.nn.Parameter(torch.randn(4)) for _ in range(3)]
    theirs = [torch.nn.Parameter(p.detach().clone()) for p in ours]
    a, b = kind.make(ours), kind.rival(theirs)
    for step in range(6):
        for i, (p, q) in enumerate(zip(ours, theirs, strict=True)):
            g = torch.randn(4)
            p.grad = g if step % (i + 1) == 0 else None
            q.grad = None if p.grad is None else g.clone()
        a.step()
        b.step()
    for p, q in zip(ours, theirs, strict=True):
        near(p.detach(), q.detach())


def test_mixed_dtypes_in_one_group(kind: Any) -> None:
    p, q = with_grad(torch.ones(5)), with_grad(torch.ones(5, dtype=torch.float64))
    kind.make([p, q]).step()
    assert not p.eq(1).any() and not q.eq(1).any()


def test_a_model_that_moves_is_followed(kind: Any) -> None:
    """`module.double()` gives each parameter other memory; its state keeps its dtype, and is refused."""
    model = torch.nn.Linear(3, 2)
    optimizer = kind.make(model.parameters())
    model(torch.ones(3)).sum().backward()
    model.weight.data = model.weight.data.clone()
    before = model.weight.detach().clone()
    optimizer.step()
    assert not torch.equal(model.weight, before)


def test_another_dtype_than_the_state_is_refused() -> None:
    model = torch.nn.Linear(3, 2)
    optimizer = ft.Adam(model.parameters())
    model(torch.ones(3)).sum().backward()
    optimizer.step()
    model.double()
    with pytest.raises(
        TypeError, match=r"exp_avg of parameter 0 of group 0: got torch.float32, need torch.float64"
    ):
        optimizer.step()


def test_a_plain_subclass_is_a_tensor() -> None:
    class Marked(torch.nn.Parameter):  # type: ignore[misc, name-defined]
        pass

    p = Marked(torch.ones(3))
    p.grad = torch.ones(3)
    ft.SGD([p], lr=0.5).step()
    assert p.tolist() == [0.5] * 3
