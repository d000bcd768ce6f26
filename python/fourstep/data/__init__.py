"""Data for training: read, check, split, and turn into numbers.

    read / movielens / simulated  ->  Dataset  ->  split  ->  Pipeline.fit, Pipeline.transform  ->  batches

A row's inputs never contain its own label or a later one, and training and scoring share the code and the
fitted tables (claims M9, M10). NumPy is all that is needed; the extra ``[data]`` brings polars (Parquet,
faster CSV) and the MovieLens ratings.
"""

from .column import Factor
from .dataset import Dataset
from .errors import DataError
from .frame import Frame, as_frame
from .inputs import Inputs
from .logs import simulated
from .minibatches import batches
from .pipeline import Pipeline
from .ratings import movielens
from .reading import read, read_frame
from .schema import Schema
from .splits import Split, split

__all__ = [
    "DataError",
    "Dataset",
    "Factor",
    "Frame",
    "Inputs",
    "Pipeline",
    "Schema",
    "Split",
    "as_frame",
    "batches",
    "movielens",
    "read",
    "read_frame",
    "simulated",
    "split",
]
