"""bfloat16 parameters: computed in float32, everything stored rounded to nearest, state in bfloat16 as torch's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: fourstep.torch was not tested")


@pytest.mark.parametrize("length", [1, 7, 31, 1024, 1500])
def test_a_step_is_the_float32_step_rounded(case: Any, length: int) -> None:
    torch.manual_seed(0)
    half = torch.nn.Parameter(torch.randn(length).bfloat16())
    full = torch.nn.Parameter(half.detach().float())
    exact = {"lr": 2.0**-7} if case.name == "Rprop" else {}  # its sizes start as lr
    a, b = case.make([half], **exact), case.make([full], **exact)
    for start, wide in zip(a.state.values(), b.state.values(), strict=True):
        wide["sum"].copy_(start["sum"])  # Adagrad's is there from the start
    for _ in range(5):
        half.grad = torch.randn(length).bfloat16()
        full.grad = half.grad.float()
        a.step()
        b.step()
        assert torch.equal(half, full.detach().bfloat16())
        # The next step starts from what was stored.
        full.data.copy_(half.detach())
        for state, wide in zip(a.state.values(), b.state.values(), strict=True):
            for key, value in state.items():
                if value.dim():
                    assert value.dtype == torch.bfloat16
                    assert torch.equal(value, wide[key].bfloat16())
                    wide[key].copy_(value)


@pytest.mark.parametrize("options", [{}, {"amsgrad": False, "weight_decay": 0.1}])
def test_near_torch_fused(options: dict[str, Any], walk: Any) -> None:
    """torch's fused step computes in float32 as well; its loop rounds after each operation."""
    import fourstep.torch

    w = walk.of(torch.bfloat16)
    ours, theirs = fourstep.torch.AdamW(w.ours, **options), torch.optim.AdamW(w.theirs, fused=True, **options)
    w.go(ours, theirs, 5)
    w.assert_close()


def test_state_goes_both_ways(walk: Any) -> None:
    import fourstep.torch

    w = walk.of(torch.bfloat16)
    a, b = fourstep.torch.Adam(w.ours), torch.optim.Adam(w.theirs, fused=True)
    w.go(a, b, 3)
    c = fourstep.torch.Adam(w.ours)
    c.load_state_dict(b.state_dict())
    assert {v.dtype for s in c.state.values() for k, v in s.items() if k != "step"} == {torch.bfloat16}
    w.go(c, b, 3)
    w.assert_close()


def test_a_stored_step_is_to_the_nearest() -> None:
    """1 + 2^-8 lies halfway between two bfloat16 numbers: to the even one; a little more goes up."""
    import fourstep.torch

    p = torch.nn.Parameter(torch.ones(2).bfloat16())
    p.grad = torch.tensor([-1.0, -1.0078125]).bfloat16()
    fourstep.torch.SGD([p], lr=2.0**-8).step()
    assert np.array_equal(p.detach().float().numpy(), [1.0, 1.0078125])


def test_a_gradient_of_another_dtype_is_refused() -> None:
    import fourstep.torch

    p = torch.nn.Parameter(torch.ones(2).bfloat16())
    p.grad_dtype = None
    p.grad = torch.ones(2)
    with pytest.raises(TypeError, match=r"the gradient of .*: got torch.float32, need torch.bfloat16"):
        fourstep.torch.SGD([p]).step()
