//! Metrics: exact AUC, grouped AUC, confusion counts, log loss.
