//! Hyper-parameters by name, and the rule that they make.

use fourstep::rules::compose::{Composed, Direction, Mix, Phi, Psi};
use fourstep::rules::epsilon::Epsilon;
use fourstep::rules::{
    Rule, adabelief, adadelta, adagrad, adam, adamax, adan, ademamix, adopt, ftrl, lamb, lars, lion, lookahead,
    nadam, radam, rmsprop, rprop, schedule_free, sgd, signum, yogi,
};
use pyo3::exceptions::{PyKeyError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Hyper-parameters by name.
pub(crate) struct Hyper<'py>(pub(crate) Bound<'py, PyDict>);

impl<'py> Hyper<'py> {
    pub(crate) fn get<V>(&self, key: &str) -> PyResult<V>
    where
        V: for<'a> FromPyObject<'a, 'py, Error = PyErr>,
    {
        let value = self.0.get_item(key)?.ok_or_else(|| PyKeyError::new_err(key.to_owned()))?;
        value.extract().map_err(|e: PyErr| PyTypeError::new_err(format!("{key}: {e}")))
    }

    pub(crate) fn rule(&self, name: &str) -> PyResult<Rule> {
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
                    lr_inside: self.get("lr_in_velocity")?,
                },
                centered: self.get("centered")?,
            },
            "adam" => {
                let (beta1, beta2) = self.get("betas")?;
                let (epsilon, corrected) = (self.epsilon()?, self.get("bias_correction")?);
                Rule::Adam(adam::Adam { lr, beta1, beta2, epsilon, corrected, amsgrad: self.amsgrad()? })
            }
            "nadam" => {
                let (beta1, beta2) = self.get("betas")?;
                Rule::Nadam(nadam::Nadam { lr, beta1, beta2, epsilon: self.epsilon()?, mix: self.mix()? })
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
            "adamax" => {
                let (beta1, beta2) = self.get("betas")?;
                let (eps, eps_inside) = (self.get("eps")?, self.get("eps_inside")?);
                let corrected = self.get("bias_correction")?;
                Rule::Adamax(adamax::Adamax { lr, beta1, beta2, eps, eps_inside, corrected })
            }
            "radam" => {
                let (beta1, beta2) = self.get("betas")?;
                Rule::RAdam(radam::RAdam { lr, beta1, beta2, epsilon: self.epsilon()? })
            }
            "adabelief" => {
                let (beta1, beta2) = self.get("betas")?;
                let epsilon = Epsilon { hat: self.get("eps_hat")?, ..Epsilon::outside(self.get("eps")?) };
                let (add, corrected) = (self.get("eps_root")?, self.get("bias_correction")?);
                Rule::AdaBelief(adabelief::AdaBelief { lr, beta1, beta2, epsilon, add, corrected })
            }
            "yogi" => {
                let (beta1, beta2) = self.get("betas")?;
                let (epsilon, corrected) = (self.epsilon()?, self.get("bias_correction")?);
                Rule::Yogi(yogi::Yogi { lr, beta1, beta2, epsilon, corrected })
            }
            "four_step" => Rule::FourStep(Composed {
                lr,
                first: self.part("first")?.phi()?,
                second: self.part("second")?.psi()?,
                direction: self.part("direction")?.direction()?,
            }),
            "along_momentum" => Rule::AlongMomentum(lookahead::AlongMomentum { lr, share: self.get("share")? }),
            "along_ratio" => {
                let (beta1, beta2) = self.get("betas")?;
                let (epsilon, corrected) = (self.epsilon()?, self.get("corrected")?);
                Rule::AlongRatio(lookahead::AlongRatio { lr, beta1, beta2, epsilon, corrected })
            }
            _ => return Err(PyValueError::new_err(format!("rule: got {name:?}, which is none"))),
        })
    }

    fn epsilon(&self) -> PyResult<Epsilon> {
        Ok(Epsilon {
            eps: self.get("eps")?,
            inside: self.get("eps_inside")?,
            hat: self.get("eps_hat")?,
            root: self.get("eps_root")?,
        })
    }

    fn schedule_free(&self) -> PyResult<schedule_free::ScheduleFree> {
        Ok(schedule_free::ScheduleFree {
            rate: self.get("rate")?,
            beta: self.get("beta")?,
            share: self.get("share")?,
            decay: self.get("y_decay")?,
        })
    }

    fn amsgrad(&self) -> PyResult<Option<adam::Largest>> {
        if !self.get("amsgrad")? {
            return Ok(None);
        }
        match self.get::<String>("amsgrad_max")?.as_str() {
            "raw" => Ok(Some(adam::Largest::Raw)),
            "hat" => Ok(Some(adam::Largest::Hat)),
            other => Err(PyValueError::new_err(format!("amsgrad_max: got {other:?}, need raw or hat"))),
        }
    }

    fn mix(&self) -> PyResult<Mix> {
        match self.get::<String>("form")?.as_str() {
            "schedule" => Ok(Mix::Schedule {
                momentum_decay: self.get("momentum_decay")?,
                mu_product: self.get("mu_product")?,
            }),
            "simple" => Ok(Mix::Simple),
            other => Err(PyValueError::new_err(format!("form: got {other:?}, need schedule or simple"))),
        }
    }

    /// One of the four steps: its name and its own hyper-parameters.
    fn part(&self, key: &str) -> PyResult<Part<'py>> {
        let (name, hyper) = self.get::<(String, Bound<'py, PyDict>)>(key)?;
        Ok(Part { name, hyper: Hyper(hyper) })
    }
}

/// One step of a composed optimizer.
struct Part<'py> {
    name: String,
    hyper: Hyper<'py>,
}

impl Part<'_> {
    fn phi(&self) -> PyResult<Phi> {
        let h = &self.hyper;
        Ok(match self.name.as_str() {
            "plain" => Phi::Plain,
            "heavy_ball" | "nesterov" if h.get("lr_inside")? => {
                Phi::LrInside { momentum: h.get("momentum")?, ahead: self.name == "nesterov" }
            }
            "heavy_ball" => Phi::HeavyBall {
                momentum: h.get("momentum")?,
                dampening: h.get("dampening")?,
                started: h.get("started")?,
            },
            "ema" => Phi::Ema { beta: h.get("beta")?, corrected: h.get("bias_correction")? },
            "nesterov" => {
                Phi::Nesterov { momentum: h.get("momentum")?, dampening: 0.0, started: h.get("started")? }
            }
            "nesterov_ema" => Phi::Ahead { beta: h.get("beta")?, mix: h.mix()? },
            other => return Err(PyValueError::new_err(format!("first: got {other:?}, which is none"))),
        })
    }

    fn psi(&self) -> PyResult<Psi> {
        let h = &self.hyper;
        let beta = || h.get::<f64>("beta");
        let corrected = || h.get::<bool>("bias_correction");
        Ok(match self.name.as_str() {
            "none" => Psi::None,
            "sum_sq" => Psi::Sum,
            "ema_sq" => Psi::Ema { beta: beta()?, corrected: corrected()? },
            "max_sq" => {
                Psi::Max { beta: beta()?, corrected: corrected()?, hat: h.get::<String>("over")? == "hat" }
            }
            "inf_norm" => Psi::Infinity { beta: beta()?, eps: h.get("eps")? },
            "belief" => Psi::Belief { beta: beta()?, corrected: corrected()?, eps: h.get("eps")? },
            "yogi" => Psi::Yogi { beta: beta()?, corrected: corrected()? },
            other => return Err(PyValueError::new_err(format!("second: got {other:?}, which is none"))),
        })
    }

    fn direction(&self) -> PyResult<Direction> {
        let h = &self.hyper;
        Ok(match self.name.as_str() {
            "along" => Direction::Plain,
            "sign" => Direction::Sign,
            "ratio" => Direction::Ratio {
                epsilon: h.epsilon()?,
                lr_decay: h.get("lr_decay")?,
                lr_last: h.get("lr_last")?,
            },
            "rectified" => Direction::Rectified { epsilon: h.epsilon()? },
            other => return Err(PyValueError::new_err(format!("direction: got {other:?}, which is none"))),
        })
    }
}

fn form(name: &str) -> PyResult<sgd::Form> {
    match name {
        "torch" => Ok(sgd::Form::Torch),
        "lr_inside" => Ok(sgd::Form::LrInside),
        "ema" => Ok(sgd::Form::Ema),
        "nesterov" => Ok(sgd::Form::Nesterov),
        "nesterov_inside" => Ok(sgd::Form::NesterovInside),
        _ => Err(PyValueError::new_err(format!(
            "form: got {name:?}, need torch, lr_inside, ema, nesterov or nesterov_inside"
        ))),
    }
}
