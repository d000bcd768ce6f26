//! Optimizer steps: all arrays of all groups in one call.
//!
//! Everything is borrowed and checked before anything is written, so an error leaves the parameters as they were.

use fourstep::coefficients;
use fourstep::exec::Exec;
use fourstep::lanes;
use fourstep::real::Real;
use fourstep::rule::{Gradient, MAX_STATE, Segment};
use fourstep::rules::{
    Rule, adadelta, adagrad, adam, adan, ademamix, adopt, ftrl, lamb, lars, lion, lookahead, nadam, rmsprop,
    rprop, schedule_free, sgd, signum,
};
use numpy::{
    Element, PyArrayDescrMethods, PyReadonlyArrayDyn, PyReadwriteArrayDyn, PyUntypedArray, PyUntypedArrayMethods,
};
use pyo3::exceptions::{PyFloatingPointError, PyKeyError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::arrays::{elements, elements_mut, reading, writing};
use crate::exec::{ExecArgs, resolve};

/// `(name, w, g, state buffers)`: arrays of one dtype and size.
type BufferArgs<'py> = (String, Bound<'py, PyAny>, Bound<'py, PyAny>, Vec<Bound<'py, PyAny>>);

/// `(rule, hyper-parameters, which state buffers, ranges)`.
type GroupArgs<'py> = (String, Bound<'py, PyDict>, Vec<usize>, Vec<Range>);

/// `(buffer, start, stop)`, in elements.
type Range = (usize, usize, usize);

/// Takes one step over all groups; returns the norm of the gradient if it was asked for.
///
/// `clip` is `(largest norm, the parameters over which the norm is taken)`.
#[pyfunction]
pub(crate) fn step(
    py: Python<'_>,
    buffers: Vec<BufferArgs<'_>>,
    groups: Vec<GroupArgs<'_>>,
    clip: Option<(f64, Vec<Range>)>,
    exec: ExecArgs,
) -> PyResult<Option<f64>> {
    let exec = resolve(exec)?;
    let groups = groups.into_iter().map(Group::parse).collect::<PyResult<Vec<_>>>()?;
    let mut single = Vec::new();
    let mut double = Vec::new();
    for (index, buffer) in buffers.iter().enumerate() {
        if is::<f32>(&buffer.1)? {
            single.push(Buffer::<f32>::borrow(index, buffer)?);
        } else {
            double.push(Buffer::<f64>::borrow(index, buffer)?);
        }
    }
    let mut single = single.iter_mut().map(Buffer::slices).collect::<PyResult<Vec<_>>>()?;
    let mut double = double.iter_mut().map(Buffer::slices).collect::<PyResult<Vec<_>>>()?;
    check_ranges(&groups, &single, &double, buffers.len())?;
    let norm = clip.as_ref().map(|(_, parameters)| py.detach(|| norm(&exec, parameters, &single, &double)));
    let scale = match (&clip, norm) {
        (Some(_), Some(norm)) if !norm.is_finite() => {
            let message = format!("clip_norm: the gradient's norm is {norm}, so nothing was updated");
            return Err(PyFloatingPointError::new_err(message));
        }
        // torch's formula, with its 1e-6.
        (Some((limit, _)), Some(norm)) => (limit / (norm + 1e-6)).min(1.0),
        _ => 1.0,
    };
    py.detach(|| {
        run(&exec, &groups, scale, &mut single);
        run(&exec, &groups, scale, &mut double);
    });
    Ok(norm)
}

fn is<T: Element>(array: &Bound<'_, PyAny>) -> PyResult<bool> {
    let untyped =
        array.cast::<PyUntypedArray>().map_err(|_| PyTypeError::new_err("parameters are NumPy arrays"))?;
    Ok(untyped.dtype().is_equiv_to(&T::get_dtype(array.py())))
}

/// The arrays of one buffer, borrowed.
struct Buffer<'py, T: Element> {
    index: usize,
    name: String,
    w: PyReadwriteArrayDyn<'py, T>,
    g: PyReadonlyArrayDyn<'py, T>,
    state: Vec<PyReadwriteArrayDyn<'py, T>>,
}

/// Their elements.
struct Slices<'a, T> {
    index: usize,
    w: &'a mut [T],
    g: &'a [T],
    state: [&'a mut [T]; MAX_STATE],
}

impl<'py, T: Element> Buffer<'py, T> {
    fn borrow(index: usize, (name, w, g, state): &BufferArgs<'py>) -> PyResult<Self> {
        if state.len() > MAX_STATE {
            return Err(PyValueError::new_err(format!(
                "{name}: got {} state buffers, need at most {MAX_STATE}",
                state.len()
            )));
        }
        let w = writing(w, name)?;
        let g = reading(g, format_args!("the gradient of {name}"))?;
        let state =
            state.iter().map(|s| writing(s, format_args!("the state of {name}"))).collect::<PyResult<Vec<_>>>()?;
        let buffer = Self { index, name: name.clone(), w, g, state };
        buffer.check_sizes()?;
        Ok(buffer)
    }

    fn check_sizes(&self) -> PyResult<()> {
        let want = self.w.shape();
        let of_gradient = ("gradient", self.g.shape());
        let of_state = self.state.iter().map(|s| ("state", s.shape()));
        match std::iter::once(of_gradient).chain(of_state).find(|(_, shape)| *shape != want) {
            Some((what, shape)) => Err(PyValueError::new_err(format!(
                "the {what} of {}: got shape {shape:?}, need {want:?}, the shape of its parameters",
                self.name
            ))),
            None => Ok(()),
        }
    }

    fn slices(&mut self) -> PyResult<Slices<'_, T>> {
        let mut state: [&mut [T]; MAX_STATE] = Default::default();
        for (slot, array) in state.iter_mut().zip(&mut self.state) {
            *slot = elements_mut(array, &self.name)?;
        }
        Ok(Slices {
            index: self.index,
            w: elements_mut(&mut self.w, &self.name)?,
            g: elements(&self.g, format_args!("the gradient of {}", self.name))?,
            state,
        })
    }
}

/// One group: a rule, what happens to its gradients, and the ranges that it covers.
struct Group {
    rule: Rule,
    t: u64,
    weight_decay: f64,
    limit: f64,
    sign: f64,
    state: Vec<usize>,
    ranges: Vec<Range>,
}

impl Group {
    fn parse((name, hyper, state, ranges): GroupArgs<'_>) -> PyResult<Self> {
        let h = Hyper(hyper);
        let rule = h.rule(&name)?;
        let want = rule.states().len();
        let repeated = (1..state.len()).any(|i| state[..i].contains(&state[i]));
        if state.len() != want || repeated || state.iter().any(|&s| s >= MAX_STATE) {
            return Err(PyValueError::new_err(format!(
                "{name}: got state buffers {state:?}, need {want} of them"
            )));
        }
        let t = h.get("step")?;
        if t == 0 {
            return Err(PyValueError::new_err("step: got 0, need a count from 1"));
        }
        Ok(Self {
            rule,
            t,
            weight_decay: h.get("weight_decay")?,
            limit: h.get::<Option<f64>>("clip_value")?.unwrap_or(f64::INFINITY),
            sign: if h.get("maximize")? { -1.0 } else { 1.0 },
            state,
            ranges,
        })
    }

    fn gradient<T: Real>(&self, scale: f64) -> Gradient<T> {
        Gradient {
            scale: T::from_f64(self.sign * scale),
            limit: T::from_f64(self.limit),
            weight_decay: T::from_f64(self.weight_decay),
        }
    }
}

/// Hyper-parameters by name.
struct Hyper<'py>(Bound<'py, PyDict>);

impl<'py> Hyper<'py> {
    fn get<V>(&self, key: &str) -> PyResult<V>
    where
        V: for<'a> FromPyObject<'a, 'py, Error = PyErr>,
    {
        let value = self.0.get_item(key)?.ok_or_else(|| PyKeyError::new_err(key.to_owned()))?;
        value.extract().map_err(|e: PyErr| PyTypeError::new_err(format!("{key}: {e}")))
    }

    fn rule(&self, name: &str) -> PyResult<Rule> {
        let lr = self.get("lr")?;
        Ok(match name {
            "sgd" => Rule::Sgd(sgd::Sgd { lr }),
            "momentum" => Rule::Momentum {
                rule: sgd::Momentum {
                    lr,
                    momentum: self.get("momentum")?,
                    dampening: self.get("dampening")?,
                    form: form(&self.get::<String>("form")?)?,
                },
                first: self.get("first")?,
            },
            "adagrad" => Rule::AdaGrad(adagrad::AdaGrad {
                lr,
                lr_decay: self.get("lr_decay")?,
                eps: self.get("eps")?,
                eps_inside: self.get("eps_inside")?,
            }),
            "adadelta" => Rule::AdaDelta(adadelta::AdaDelta { lr, rho: self.get("rho")?, eps: self.get("eps")? }),
            "rmsprop" => Rule::RmsProp {
                rule: rmsprop::RmsProp {
                    lr,
                    alpha: self.get("alpha")?,
                    eps: self.get("eps")?,
                    eps_inside: self.get("eps_inside")?,
                    momentum: self.get("momentum")?,
                },
                centered: self.get("centered")?,
            },
            "adam" => Rule::Adam(self.adam()?),
            "nadam" => {
                let (beta1, beta2) = self.get("betas")?;
                Rule::Nadam(nadam::Nadam {
                    lr,
                    beta1,
                    beta2,
                    eps: self.get("eps")?,
                    momentum_decay: self.get("momentum_decay")?,
                    mu_product: self.get("mu_product")?,
                })
            }
            "signum" => Rule::Signum(signum::Signum { lr, momentum: self.get("momentum")? }),
            "lion" => {
                let (beta1, beta2) = self.get("betas")?;
                Rule::Lion(lion::Lion { lr, beta1, beta2 })
            }
            "adan" => {
                let (beta1, beta2, beta3) = self.get("betas")?;
                let (eps, no_prox) = (self.get("eps")?, self.get("no_prox")?);
                Rule::Adan(adan::Adan { lr, beta1, beta2, beta3, eps, no_prox })
            }
            "adopt" => {
                let (beta1, beta2) = self.get("betas")?;
                Rule::Adopt(adopt::Adopt { lr, beta1, beta2, eps: self.get("eps")?, clip: self.get("clip")? })
            }
            "ademamix" => {
                let (beta1, beta2, beta3) = self.get("betas")?;
                let (alpha, eps) = (self.get("alpha")?, self.get("eps")?);
                Rule::AdEmaMix(ademamix::AdEmaMix { lr, beta1, beta2, beta3, alpha, eps })
            }
            "rprop" => Rule::Rprop(rprop::Rprop { etas: self.get("etas")?, step_sizes: self.get("step_sizes")? }),
            "ftrl" => Rule::Ftrl(ftrl::Ftrl {
                lr,
                power: self.get("power")?,
                l1: self.get("l1")?,
                l2: self.get("l2")?,
                shrinkage: self.get("shrinkage")?,
                beta: self.get("beta")?,
            }),
            "schedule_free_sgd" => Rule::ScheduleFreeSgd(self.schedule_free()?),
            "schedule_free_adamw" => {
                let scaling = schedule_free::Scaling { beta2: self.get("beta2")?, eps: self.get("eps")? };
                Rule::ScheduleFreeAdamW(self.schedule_free()?, scaling)
            }
            "lamb" => {
                let (beta1, beta2) = self.get("betas")?;
                Rule::Lamb(lamb::Lamb {
                    lr,
                    beta1,
                    beta2,
                    eps: self.get("eps")?,
                    weight_decay: self.get("ratio_decay")?,
                    bias_correction: self.get("bias_correction")?,
                    adapt: self.get("adapt")?,
                })
            }
            "lars" => Rule::Lars(lars::Lars {
                lr,
                momentum: self.get("momentum")?,
                dampening: self.get("dampening")?,
                nesterov: self.get("nesterov")?,
                weight_decay: self.get("ratio_decay")?,
                trust_coefficient: self.get("trust_coefficient")?,
                eps: self.get("eps")?,
                adapt: self.get("adapt")?,
                first: self.get("first")?,
            }),
            "along_momentum" => Rule::AlongMomentum(lookahead::AlongMomentum { lr, share: self.get("share")? }),
            "along_ratio" => {
                Rule::AlongRatio(lookahead::AlongRatio { adam: self.adam()?, corrected: self.get("corrected")? })
            }
            _ => return Err(PyValueError::new_err(format!("rule: got {name:?}, which is none"))),
        })
    }
}

impl Hyper<'_> {
    fn adam(&self) -> PyResult<adam::Adam> {
        let (beta1, beta2) = self.get("betas")?;
        Ok(adam::Adam { lr: self.get("lr")?, beta1, beta2, eps: self.get("eps")? })
    }

    fn schedule_free(&self) -> PyResult<schedule_free::ScheduleFree> {
        Ok(schedule_free::ScheduleFree {
            rate: self.get("rate")?,
            beta: self.get("beta")?,
            share: self.get("share")?,
            decay: self.get("y_decay")?,
        })
    }
}

fn form(name: &str) -> PyResult<sgd::Form> {
    match name {
        "torch" => Ok(sgd::Form::Torch),
        "lr_inside" => Ok(sgd::Form::LrInside),
        "ema" => Ok(sgd::Form::Ema),
        "nesterov" => Ok(sgd::Form::Nesterov),
        _ => Err(PyValueError::new_err(format!("form: got {name:?}, need torch, lr_inside, ema or nesterov"))),
    }
}

/// The ranges of each buffer lie inside it and apart.
fn check_ranges(
    groups: &[Group],
    single: &[Slices<'_, f32>],
    double: &[Slices<'_, f64>],
    buffers: usize,
) -> PyResult<()> {
    let mut lengths = vec![0; buffers];
    single.iter().for_each(|b| lengths[b.index] = b.w.len());
    double.iter().for_each(|b| lengths[b.index] = b.w.len());
    let mut ranges: Vec<Range> = groups.iter().flat_map(|g| g.ranges.iter().copied()).collect();
    ranges.sort_unstable();
    let outside = ranges.iter().any(|&(b, start, stop)| b >= buffers || start > stop || stop > lengths[b]);
    let overlap = ranges.windows(2).any(|pair| pair[0].0 == pair[1].0 && pair[0].2 > pair[1].1);
    if outside || overlap {
        return Err(PyValueError::new_err("ranges of groups overlap or lie outside their buffers"));
    }
    Ok(())
}

/// Steps every group over its ranges of these buffers.
fn run<T: Real>(exec: &Exec, groups: &[Group], scale: f64, buffers: &mut [Slices<'_, T>]) {
    let mut cuts: Vec<(Range, usize)> =
        groups.iter().enumerate().flat_map(|(i, g)| g.ranges.iter().map(move |r| (*r, i))).collect();
    cuts.sort_unstable();
    let mut segments: Vec<Vec<Segment<'_, T>>> = groups.iter().map(|_| Vec::new()).collect();
    let mut cuts = cuts.into_iter().peekable();
    for buffer in buffers {
        let mut rest =
            Segment { w: &mut *buffer.w, g: buffer.g, state: buffer.state.each_mut().map(|s| &mut **s) };
        let mut done = 0;
        while cuts.next_if(|((b, ..), _)| *b < buffer.index).is_some() {}
        while let Some(((_, start, stop), group)) = cuts.next_if(|((b, ..), _)| *b == buffer.index) {
            let (piece, after) = rest.split(start - done).1.split(stop - start);
            segments[group].push(piece.with_state(&groups[group].state));
            (rest, done) = (after, stop);
        }
    }
    for (group, segments) in groups.iter().zip(&mut segments) {
        group.rule.step(exec, group.t, group.gradient(scale), segments);
    }
}

/// √Σg² over the parameters, each folded by itself, then pairwise in their order: the same bits in an arena, in a list
/// and in any grouping.
fn norm(exec: &Exec, parameters: &[Range], single: &[Slices<'_, f32>], double: &[Slices<'_, f64>]) -> f64 {
    let sums: Vec<f64> = parameters
        .iter()
        .map(|&(buffer, start, stop)| match find(single, buffer) {
            Some(b) => lanes::sum_of_squares(exec, &b.g[start..stop]),
            None => find(double, buffer).map_or(0.0, |b| lanes::sum_of_squares(exec, &b.g[start..stop])),
        })
        .collect();
    lanes::pairwise(&sums).sqrt()
}

fn find<'a, 'b, T>(buffers: &'a [Slices<'b, T>], index: usize) -> Option<&'a Slices<'b, T>> {
    buffers.binary_search_by_key(&index, |b| b.index).ok().map(|i| &buffers[i])
}

/// β^t as the core computes it: for the tests that pin it.
#[pyfunction]
pub(crate) fn power(base: f64, exponent: u64) -> f64 {
    coefficients::power(base, exponent)
}

/// x^y as the core computes it: for the tests that pin it.
#[pyfunction]
pub(crate) fn pow(x: f64, y: f64) -> f64 {
    coefficients::pow(x, y)
}

/// Π_t = Π_{t−1}·μ_t of Nadam.
#[pyfunction]
pub(crate) fn nadam_mu_product(beta1: f64, momentum_decay: f64, t: u64, mu_product: f64) -> f64 {
    let rule = nadam::Nadam { lr: 0.0, beta1, beta2: 0.0, eps: 0.0, momentum_decay, mu_product };
    mu_product * rule.mu(t)
}
