//! Our own thread pools: built at first use, one for each thread count, safe to fork. This is unsafe room 2.
//!
//! A forked child inherits the memory of its parent's pool and none of its threads: handing it work would wait for
//! ever. So a pool belongs to the *generation* of the process that built it; `pthread_atfork` counts generations up in
//! the child, whose first call then builds a pool of its own. The inherited one is leaked, never dropped: dropping it
//! would join threads that do not exist. For the same reason nothing here takes a
//! lock that a fork could leave locked, but for the first use itself, which is over in microseconds.
//!
//! Threads never change a result: work is cut by element count, never by thread count.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use rayon::prelude::*;

/// The environment variables that set the number of threads, first one set wins.
pub const VARIABLES: [&str; 2] = ["FOURSTEP_NUM_THREADS", "RAYON_NUM_THREADS"];

/// The most threads that can be asked for.
pub const MAX_THREADS: usize = 256;

/// A thread count outside 1..=[`MAX_THREADS`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ThreadsError {
    /// Who asked: a variable's or an argument's name.
    pub source: &'static str,
    /// What was asked for.
    pub got: String,
}

impl fmt::Display for ThreadsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: got {:?}, need a whole number from 1 to {MAX_THREADS}", self.source, self.got)
    }
}

impl std::error::Error for ThreadsError {}

/// What `set_threads` was given; 0 = nothing yet.
static CHOSEN: AtomicUsize = AtomicUsize::new(0);

/// Where the number of threads comes from, for `runtime()`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ThreadsSource {
    /// `set_threads` was called.
    Call,
    /// This variable.
    Variable(&'static str),
    /// What the operating system lets this process use.
    Available,
}

/// The number of threads to use, and who says so.
pub fn threads_and_source() -> Result<(usize, ThreadsSource), ThreadsError> {
    static DEFAULT: OnceLock<Result<(usize, ThreadsSource), ThreadsError>> = OnceLock::new();
    match CHOSEN.load(Ordering::Relaxed) {
        0 => DEFAULT.get_or_init(default_threads).clone(),
        n => Ok((n, ThreadsSource::Call)),
    }
}

/// The number of threads to use.
pub fn threads() -> Result<usize, ThreadsError> {
    threads_and_source().map(|(n, _)| n)
}

fn default_threads() -> Result<(usize, ThreadsSource), ThreadsError> {
    for name in VARIABLES {
        if let Some(text) = std::env::var_os(name)
            && !text.is_empty()
        {
            let text = text.to_string_lossy().into_owned();
            let n = text.parse().map_err(|_| ThreadsError { source: name, got: text })?;
            // rayon reads 0 as "choose for me".
            if n == 0 && name == "RAYON_NUM_THREADS" {
                continue;
            }
            return check(name, n).map(|n| (n, ThreadsSource::Variable(name)));
        }
    }
    let n = std::thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS);
    Ok((n, ThreadsSource::Available))
}

/// `n`, if it is a thread count that can be used.
pub fn check(source: &'static str, n: usize) -> Result<usize, ThreadsError> {
    if (1..=MAX_THREADS).contains(&n) { Ok(n) } else { Err(ThreadsError { source, got: n.to_string() }) }
}

/// Uses `n` threads from the next call on; 0 goes back to the default.
pub fn set_threads(n: usize) -> Result<(), ThreadsError> {
    if n != 0 {
        check("num_threads", n)?;
    }
    CHOSEN.store(n, Ordering::Relaxed);
    Ok(())
}

// What is handed to rayon is behind a pointer, so that its machinery is compiled once and not once for each closure.

/// `f(0), f(1), … f(n − 1)`, in that order, computed on up to `threads` threads.
pub fn map<R: Send>(threads: usize, n: usize, f: impl Fn(usize) -> R + Sync + Send) -> Vec<R> {
    let pool = if threads <= 1 || n <= 1 { None } else { pool(threads) };
    let Some(pool) = pool else { return (0..n).map(f).collect() };
    let mut results: Vec<Option<R>> = (0..n).map(|_| None).collect();
    fill(pool, &mut results, &f);
    results.into_iter().flatten().collect()
}

fn fill<R: Send>(pool: &rayon::ThreadPool, results: &mut [Option<R>], f: &(dyn Fn(usize) -> R + Sync)) {
    pool.install(|| results.par_iter_mut().enumerate().for_each(|(i, result)| *result = Some(f(i))));
}

/// `f(item)` for each item, on up to `threads` threads.
pub fn for_each<I: Send>(threads: usize, items: &mut [I], f: impl Fn(&mut I) + Sync + Send) {
    let pool = if threads <= 1 || items.len() <= 1 { None } else { pool(threads) };
    match pool {
        Some(pool) => each(pool, items, &f),
        None => items.iter_mut().for_each(f),
    }
}

fn each<I: Send>(pool: &rayon::ThreadPool, items: &mut [I], f: &(dyn Fn(&mut I) + Sync)) {
    pool.install(|| items.par_iter_mut().for_each(f));
}

/// Work without arguments or result.
type Task<'a> = &'a mut (dyn FnMut() + Send);

/// Runs `f` inside the pool of `threads` threads, where [`join`] may fork; on the caller's thread when `threads` is 1.
pub fn install<R: Send>(threads: usize, f: impl FnOnce() -> R + Send) -> R {
    let Some(pool) = (threads > 1).then(|| pool(threads)).flatten() else { return f() };
    once(f, |task| inside(pool, task))
}

fn inside(pool: &rayon::ThreadPool, task: Task<'_>) {
    pool.install(task);
}

/// Both closures, at once when inside the pool of [`install`], one after the other elsewhere.
pub fn join<A: Send, B: Send>(a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B + Send) -> (A, B) {
    let mut second = None;
    let first = once(a, |a| second = Some(once(b, |b| both(a, b))));
    (first, second.unwrap_or_else(|| unreachable!("both were run")))
}

#[allow(clippy::disallowed_methods, reason = "inside our own pool, rayon::join stays in it")]
fn both(a: Task<'_>, b: Task<'_>) {
    if rayon::current_thread_index().is_some() {
        rayon::join(a, b);
    } else {
        a();
        b();
    }
}

/// Has `run` call `f`, as a task, once; gives what it returned.
fn once<R: Send>(f: impl FnOnce() -> R + Send, run: impl FnOnce(Task<'_>)) -> R {
    let (mut f, mut result) = (Some(f), None);
    run(&mut || result = f.take().map(|f| f()));
    result.unwrap_or_else(|| unreachable!("the task was run"))
}

struct Pool {
    generation: usize,
    rayon: rayon::ThreadPool,
}

static POOLS: [AtomicPtr<Pool>; MAX_THREADS + 1] =
    [const { AtomicPtr::new(std::ptr::null_mut()) }; MAX_THREADS + 1];

/// How many forks lie between the process that loaded this library and this one.
static GENERATION: AtomicUsize = AtomicUsize::new(0);

/// The pool of `threads` threads of this process; none where the operating system refuses to start them, and then the
/// work is done on the caller's thread: same bits, only later.
fn pool(threads: usize) -> Option<&'static rayon::ThreadPool> {
    watch_forks();
    let generation = GENERATION.load(Ordering::Acquire);
    let slot = &POOLS[threads];
    let seen = slot.load(Ordering::Acquire);
    if let Some(pool) = leaked(seen)
        && pool.generation == generation
    {
        return Some(&pool.rayon);
    }
    let built = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|i| format!("fourstep-{i}"))
        .build()
        .ok()?;
    let fresh = Box::into_raw(Box::new(Pool { generation, rayon: built }));
    match slot.compare_exchange(seen, fresh, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => leaked(fresh).map(|pool| &pool.rayon),
        // Another thread of this process was first: ours is leaked, idle.
        Err(theirs) => leaked(theirs).map(|pool| &pool.rayon),
    }
}

#[allow(unsafe_code, reason = "POOLS holds leaked boxes; atomics cannot hold references")]
fn leaked(pool: *mut Pool) -> Option<&'static Pool> {
    // SAFETY: every non-null pointer in `POOLS` comes from `Box::into_raw` and is never freed or written again.
    unsafe { pool.as_ref() }
}

#[cfg(unix)]
fn watch_forks() {
    static WATCHING: OnceLock<()> = OnceLock::new();
    extern "C" fn in_child() {
        GENERATION.fetch_add(1, Ordering::Release);
    }
    WATCHING.get_or_init(|| {
        #[allow(unsafe_code, reason = "the only way to hear of a fork")]
        // SAFETY: the handler only adds to an atomic, which is async-signal-safe, and lives as long as the library.
        let status = unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
        assert_eq!(status, 0, "pthread_atfork has no memory left");
    });
}

#[cfg(not(unix))]
fn watch_forks() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn map_keeps_order_on_any_number_of_threads() {
        let want: Vec<usize> = (0..1000).map(|i| i * i).collect();
        for threads in [1, 2, 3, 7] {
            assert_eq!(map(threads, 1000, |i| i * i), want, "{threads} threads");
        }
    }

    #[test]
    fn for_each_reaches_every_item_once() {
        for threads in [1, 2, 7] {
            let mut items = vec![0; 257];
            for_each(threads, &mut items, |x| *x += 1);
            assert!(items.iter().all(|&x| x == 1), "{threads} threads");
        }
    }

    #[test]
    fn a_count_out_of_range_names_its_source() {
        for n in [0, MAX_THREADS + 1] {
            let error = check("FOURSTEP_NUM_THREADS", n).unwrap_err().to_string();
            assert!(error.contains("FOURSTEP_NUM_THREADS") && error.contains(&n.to_string()), "{error}");
        }
    }
}
