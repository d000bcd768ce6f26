"""Layers with an explicit backward: enough for click models, in NumPy and BLAS around the kernels.

Every layer is used alike, and nothing happens behind one's back:

>>> import numpy as np
>>> import fourstep as fs
>>> from fourstep import nn
>>> rng = np.random.default_rng(0)
>>> x = rng.normal(size=(64, 2)).astype(np.float32)
>>> label = (x[:, :1] * x[:, 1:] > 0).astype(np.float32)  # XOR of the signs
>>> hidden = nn.block(2, 16, activation="tanh", batch_norm=False, seed=1)
>>> model = nn.Sequential({"hidden": hidden, "out": nn.Linear(16, 1, seed=2)})
>>> loss = nn.BCEWithLogitsLoss()
>>> arena = fs.Arena(model)  # the model's parameters are now views of one flat buffer
>>> optimizer = fs.optim.Adam(arena, lr=0.05)
>>> for _ in range(200):
...     arena.zero_grad()
...     value = loss.forward(model.forward(x), label)
...     dx = model.backward(loss.backward())
...     optimizer.step()
>>> value < 0.1
True

Names of layers, arguments, parameters and buffers are PyTorch's. The order in a block is Linear (no bias) → BatchNorm →
activation → Dropout (`block`).
"""

from __future__ import annotations

from fourstep.nn import activations, augment, functional, init, regularise
from fourstep.nn.accumulation import accumulate
from fourstep.nn.activations import (
    ELU,
    GELU,
    LeakyReLU,
    LogSoftmax,
    Maxout,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from fourstep.nn.batch_norm import BatchNorm
from fourstep.nn.bias_variance import BiasVariance, WidthFit, bias_variance
from fourstep.nn.clipping import clip_adaptive, clip_by_norm, clip_by_value
from fourstep.nn.containers import Concat, Identity, Sequential, block
from fourstep.nn.dropout import Dropout
from fourstep.nn.early_stopping import EarlyStopping
from fourstep.nn.embedding import Embedding, FieldEmbedding
from fourstep.nn.embedding_bag import EmbeddingBag
from fourstep.nn.ensembles import SWA, Bagging, Boosting, Snapshots, update_batch_norm
from fourstep.nn.factorization import FMInteraction
from fourstep.nn.fitting import fit
from fourstep.nn.flatten import Flatten
from fourstep.nn.gradients import GradientError, check_gradients
from fourstep.nn.layer_norm import LayerNorm
from fourstep.nn.linear import Linear
from fourstep.nn.losses import (
    BCELoss,
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    HuberLoss,
    L1Loss,
    Loss,
    MSELoss,
    SquaredError,
)
from fourstep.nn.minibatches import batches
from fourstep.nn.module import Module
from fourstep.nn.moments import Moments
from fourstep.nn.monte_carlo import MonteCarlo, mc_predict
from fourstep.nn.noise_scale import NoiseScale, gradient_noise_scale
from fourstep.nn.propagation import LayerFlow, Propagation, check_propagation
from fourstep.nn.recalibration import batch_moments, recalibrate, set_moments
from fourstep.nn.recurrent import LSTM, RNN, AllSteps, LastState
from fourstep.nn.residual import Residual

__all__ = [
    "ELU",
    "GELU",
    "LSTM",
    "RNN",
    "SWA",
    "AllSteps",
    "BCELoss",
    "BCEWithLogitsLoss",
    "Bagging",
    "BatchNorm",
    "BiasVariance",
    "Boosting",
    "Concat",
    "CrossEntropyLoss",
    "Dropout",
    "EarlyStopping",
    "Embedding",
    "EmbeddingBag",
    "FMInteraction",
    "FieldEmbedding",
    "Flatten",
    "GradientError",
    "HuberLoss",
    "Identity",
    "L1Loss",
    "LastState",
    "LayerFlow",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "Loss",
    "MSELoss",
    "Maxout",
    "Module",
    "Moments",
    "MonteCarlo",
    "NoiseScale",
    "Propagation",
    "ReLU",
    "Residual",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Snapshots",
    "Softmax",
    "Softplus",
    "SquaredError",
    "Tanh",
    "WidthFit",
    "accumulate",
    "activations",
    "augment",
    "batch_moments",
    "batches",
    "bias_variance",
    "block",
    "check_gradients",
    "check_propagation",
    "clip_adaptive",
    "clip_by_norm",
    "clip_by_value",
    "fit",
    "functional",
    "gradient_noise_scale",
    "init",
    "mc_predict",
    "recalibrate",
    "regularise",
    "set_moments",
    "update_batch_norm",
]
