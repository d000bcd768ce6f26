"""What is seen while a run trains: a bar where there is a terminal, a line an epoch elsewhere, nothing when quiet.

All of it goes to standard error; results go to standard output.
"""

from __future__ import annotations

import importlib.util
import sys
from abc import ABC, abstractmethod
from time import perf_counter
from typing import Any, TextIO

__all__ = ["Bar", "Line", "Progress", "Silent", "Terminal", "make"]


class Progress(ABC):
    """Shows where a stage is."""

    @abstractmethod
    def stage(self, title: str, steps: int, done: int) -> None:
        """Begin a stage of so many steps, some of which may be done already."""

    @abstractmethod
    def step(self, epoch: str, loss: float, lr: float, rows: int) -> None:
        """Show one step: its epoch (as "3/8"), running mean loss, learning rate, and rows."""

    @abstractmethod
    def say(self, text: str) -> None:
        """Print a line that stays."""

    @abstractmethod
    def close(self) -> None:
        """End the stage."""


class Silent(Progress):
    """Nothing at all."""

    def stage(self, title: str, steps: int, done: int) -> None:
        """Do nothing."""

    def step(self, epoch: str, loss: float, lr: float, rows: int) -> None:
        """Do nothing."""

    def say(self, text: str) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class Line(Progress):
    """The lines that stay, and nothing that moves: for a file or a pipe."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def stage(self, title: str, steps: int, done: int) -> None:
        """Do nothing: the line at the end of an epoch says it."""

    def step(self, epoch: str, loss: float, lr: float, rows: int) -> None:
        """Do nothing."""

    def say(self, text: str) -> None:
        """Print a line."""
        print(text, file=self.stream, flush=True)

    def close(self) -> None:
        """Do nothing."""


class Speed:
    """Rows a second and the time left, of one stage."""

    def __init__(self, steps: int, done: int) -> None:
        self.steps, self.done, self.first = steps, done, done
        self.rows = 0
        self.start = perf_counter()
        self.drawn = 0.0

    def count(self, rows: int) -> None:
        """Take note of one step."""
        self.done += 1
        self.rows += rows

    def due(self) -> bool:
        """Whether it is time to draw again: ten times a second, and at the end."""
        now = perf_counter()
        if now - self.drawn < 0.1 and self.done < self.steps:
            return False
        self.drawn = now
        return True

    @property
    def rate(self) -> float:
        """Rows a second."""
        return self.rows / max(perf_counter() - self.start, 1e-9)

    @property
    def left(self) -> str:
        """The time left, as minutes and seconds."""
        done = max(self.done - self.first, 1)
        seconds = (perf_counter() - self.start) / done * (self.steps - self.done)
        return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


class Terminal(Line):
    """One line that is written over, for a terminal without rich."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self.title, self.speed, self.width = "", Speed(1, 0), 0

    def stage(self, title: str, steps: int, done: int) -> None:
        """Begin to count."""
        self.title, self.speed = title, Speed(steps, done)

    def step(self, epoch: str, loss: float, lr: float, rows: int) -> None:
        """Write over the line."""
        self.speed.count(rows)
        if self.speed.due():
            share = self.speed.done / max(self.speed.steps, 1)
            text = (
                f"{self.title} {epoch} {share:4.0%}  loss {loss:.4f}  lr {lr:.2e}"
                f"  {self.speed.rate:,.0f} examples/s  ETA {self.speed.left}"
            )
            self.width = max(self.width, len(text))
            print("\r" + text.ljust(self.width), end="", file=self.stream, flush=True)

    def say(self, text: str) -> None:
        """Print a line in the place of the one that moves."""
        self.close()
        super().say(text)

    def close(self) -> None:
        """Wipe the line."""
        if self.width:
            print("\r" + " " * self.width + "\r", end="", file=self.stream, flush=True)
        self.width = 0


class Bar(Progress):
    """The progress bar of rich."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TaskID, TextColumn
        from rich.progress import Progress as Rich

        columns = (
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("loss {task.fields[loss]:.4f}"),
            TextColumn("lr {task.fields[lr]:.2e}"),
            TextColumn("{task.fields[rate]:,.0f} examples/s"),
            TextColumn("ETA {task.fields[left]}"),
        )
        self.rich = Rich(*columns, console=Console(file=stream), auto_refresh=False, transient=True)
        self.title, self.speed = "", Speed(1, 0)
        self.task: TaskID | None = None

    def stage(self, title: str, steps: int, done: int) -> None:
        """Begin a bar."""
        self.title, self.speed = title, Speed(steps, done)

    def step(self, epoch: str, loss: float, lr: float, rows: int) -> None:
        """Move the bar."""
        self.speed.count(rows)
        if not self.speed.due():
            return
        shown: dict[str, Any] = {"loss": loss, "lr": lr, "rate": self.speed.rate, "left": self.speed.left}
        title = f"{self.title} {epoch}"
        if self.task is None:
            self.rich.start()
            self.task = self.rich.add_task(title, total=self.speed.steps, **shown)
        self.rich.update(self.task, description=title, completed=self.speed.done, **shown)
        self.rich.refresh()

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self.rich.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def close(self) -> None:
        """Take the bar away."""
        if self.task is not None:
            self.rich.stop()
            self.rich.remove_task(self.task)
            self.task = None


def make(quiet: bool, stream: TextIO | None = None) -> Progress:
    """Choose what fits the stream: nothing, lines, or a bar (of rich where it is installed)."""
    stream = stream or sys.stderr
    if quiet:
        return Silent()
    if not stream.isatty():
        return Line(stream)
    return Bar(stream) if importlib.util.find_spec("rich") is not None else Terminal(stream)
