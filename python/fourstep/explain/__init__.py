"""What an optimizer does, in formulas and in numbers: `opt.explain()`.

| part | what it holds |
|---|---|
| `formula` | formulas as text: read, filled with numbers, worked out, in LaTeX |
| `moments` | windows and gains of moving averages (O3, O9) |
| `steps` | how a group steps: what an optimizer says of itself, and what all share |
| `general` | the four steps with hyper-parameters |
| `numbers` | one step of one element with its numbers |
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fourstep.explain.general import Explanation, explanation
from fourstep.explain.numbers import StepExplanation

if TYPE_CHECKING:
    from fourstep.optim.base import Optimizer

__all__ = ["Explanation", "StepExplanation", "explain", "explanation"]


def explain(
    opt: Optimizer,
    step: int | None = None,
    name: str | None = None,
    index: int | tuple[int, ...] = (),
    grads: Any = None,
) -> Explanation | StepExplanation:
    """See `fourstep.optim.Optimizer.explain`."""
    from fourstep.tracing.preview import preview
    from fourstep.tracing.watch import watching

    if name is None:
        if step is not None or index != ():
            raise ValueError("explain: got a step or an index without a name, need the name of a parameter")
        return explanation(opt)
    upcoming = opt.step_count + 1
    if step is None or step == upcoming:
        return preview(opt, name, index, grads)
    seen = watching(opt)
    if seen is None:
        raise ValueError(
            f"step: got {step}, need {upcoming}, the next one; for an earlier one, "
            f"`with fs.trace(opt, {name!r}, [{index}]) as t:` around the steps, then t.explain({step}, …)"
        )
    return seen.explain(step, name, index)
