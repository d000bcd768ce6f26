"""The notes: the formulas of their section 1 as they stand there. They give no numbers, so those are our defaults."""

from __future__ import annotations

from fourstep.optim.dialects.spec import Entry, Table

TABLE: Table = {
    "SGD": Entry("O6, O7", {"momentum_form": "lr_inside"}),
    "NAG": Entry("O10", {"lookahead": "notes"}),
    "AdaGrad": Entry("O5, O12", {"eps_inside": True}),
    "AdaDelta": "what the notes call AdaDelta is RMSProp (O14); use RMSProp(dialect='notes')",
    "RMSProp": Entry("O14", {"eps_inside": False}),
    "Adam": Entry("O15", {"bias_correction": False, "eps_inside": False}),
    "Nadam": Entry("O16", {"lookahead": "notes", "bias_correction": False}),
}
