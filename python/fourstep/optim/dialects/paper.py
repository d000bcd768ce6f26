"""The papers: the algorithm as first published, with the numbers that it recommends; what it leaves open is required.

Where a paper has no ε at all (RMSProp's lecture, AdaMax), ours stays: without it an element whose gradients
were all 0 divides 0 by 0.
"""

from __future__ import annotations

from fourstep.optim.dialects.spec import Entry, Table

TABLE: Table = {
    "SGD": Entry("Polyak 1964", {"momentum_form": "lr_inside"}, required=("lr",)),
    "NAG": Entry("Nesterov 1983", {"lookahead": "nesterov"}, required=("lr",)),
    "AdaGrad": Entry("Duchi, Hazan and Singer 2011", {"eps_inside": False}, required=("lr",)),
    "AdaDelta": Entry("Zeiler 2012", {"lr": 1.0, "rho": 0.95, "eps": 1e-6}),
    "RMSProp": Entry("Hinton 2012, lecture 6e", {"lr": 1e-3, "alpha": 0.9, "eps_inside": False}),
    "Adam": Entry("Kingma and Ba 2015", {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "eps_hat": False}),
    "Adamax": Entry("Kingma and Ba 2015", {"lr": 2e-3, "betas": (0.9, 0.999)}),
    "Nadam": "Dozat's m decays by his schedule too, m = μ_t·m + (1 − μ_t)·g, as no library's does; "
    "the nearest is dialect='torch'",
    "AdamW": Entry(
        "Loshchilov and Hutter 2019",
        {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "decay": "independent"},
        required=("weight_decay",),
    ),
    "SGDW": Entry(
        "Loshchilov and Hutter 2019",
        {"momentum_form": "lr_inside", "decay": "independent"},
        required=("lr", "weight_decay"),
    ),
    "RAdam": "the paper divides by v from ρ > 4 on, every library from ρ > 5 on; use dialect='torch'",
    "AdaBelief": Entry(
        "Zhuang et al. 2020", {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "eps_root": 1e-8}
    ),
    "Yogi": Entry(
        "Zaheer et al. 2018", {"lr": 1e-2, "betas": (0.9, 0.999), "eps": 1e-3, "bias_correction": False}
    ),
    "Lion": Entry("Chen et al. 2023", {"lr": 1e-4, "betas": (0.9, 0.99), "decay": "decoupled"}),
    "Adan": Entry("Xie et al. 2022", {"lr": 1e-3, "betas": (0.98, 0.92, 0.99), "eps": 1e-8}),
    "ADOPT": Entry("Taniguchi et al. 2024", {"lr": 1e-3, "betas": (0.9, 0.9999), "eps": 1e-6}),
    "AdEMAMix": Entry(
        "Pagliardini, Ablin and Grangier 2024",
        {"betas": (0.9, 0.999, 0.9999), "alpha": 5.0, "eps": 1e-8},
        required=("lr",),
    ),
    "LAMB": Entry("You et al. 2020", {"betas": (0.9, 0.999), "eps": 1e-6}, required=("lr",)),
    "LARS": "the paper keeps lr inside the momentum; dialect='torch' is the same while lr is constant",
    "Rprop": Entry("Riedmiller and Braun 1993", {"lr": 0.1, "etas": (0.5, 1.2), "step_sizes": (1e-6, 50.0)}),
    "FTRL": Entry(
        "McMahan et al. 2013",
        {
            "lr_power": -0.5,
            "initial_accumulator_value": 0.0,
            "l1": 0.0,
            "l2": 0.0,
            "l2_shrinkage": 0.0,
            "beta": 1.0,
            "l2_form": "paper",
            "initial_linear": "zero",
        },
        required=("lr",),
    ),
    "SGDScheduleFree": Entry("Defazio et al. 2024", {"momentum": 0.9}, required=("lr",)),
    "AdamWScheduleFree": Entry("Defazio et al. 2024", {"betas": (0.9, 0.999), "eps": 1e-8}, required=("lr",)),
}
