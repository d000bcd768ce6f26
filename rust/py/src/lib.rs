//! The Python boundary: borrow, check, detach, call, map errors. Nothing here computes.
//!
//! Every function takes its arrays in place and, last, `exec`: the tuple of `fourstep._runtime.execution()`.
//!
//! NumPy arrays are borrowed (`arrays`) for one call: `loans` refuses what another one uses, or another argument. torch's
//! tensors have an owner who promises more: `tensors` takes their addresses from DLPack's C table at every step. Both become
//! slices in `pointers`, which checks all that can be checked. It is unsafe room 4, after the core's `isa`, `pool`
//! and `pages`.
#![deny(unsafe_code)]

mod arrays;
mod buffers;
mod elementary;
mod exec;
mod hyper;
mod loans;
mod metrics;
mod norm;
mod optim;
mod pointers;
mod rows;
mod tensors;

/// `fourstep._core`: the kernels. Use the Python layer above it.
#[pyo3::pymodule(gil_used = false)]
mod _core {
    use numpy::Element;
    use pyo3::prelude::*;

    /// Has NumPy's C interface looked up now: inside a call, Ctrl-C could come in between, which the look-up takes for a panic.
    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let _loaded = f32::get_dtype(module.py());
        Ok(())
    }

    #[pymodule_export]
    use super::elementary::elementary;
    #[pymodule_export]
    use super::exec::{runtime, set_num_threads};
    #[pymodule_export]
    use super::metrics::{
        metrics_auc, metrics_bootstrap, metrics_buckets, metrics_confusion, metrics_distance, metrics_draws,
        metrics_gauc, metrics_labels, metrics_losses, metrics_order, metrics_placement_products,
        metrics_placements, metrics_precisions, metrics_roc, metrics_steps,
    };
    #[pymodule_export]
    use super::norm::{
        add_column_sums, batch_norm_backward, batch_norm_evaluate, batch_norm_moments, batch_norm_train, dropout,
        embedding_backward, embedding_forward,
    };
    #[pymodule_export]
    use super::optim::{nadam_mu_product, pow, power, probe, step};
    #[pymodule_export]
    use super::rows::{rows_squares, step_rows};
    #[pymodule_export]
    use super::tensors::{identical, layouts, step_at, step_packed};
}
