//! Our own threads: started at first use, kept, handed work in a microsecond, safe to fork. This is unsafe room 2.
//!
//! ```text
//! call      the caller offers a job to idle helpers, works on it itself, takes back the offers that nobody took,
//!           and waits for those who took theirs
//! job       a closure that takes pieces of the work until none is left: whoever comes late finds less, or nothing
//! helper    looks for the next job for a while, then sleeps
//! ```
//!
//! A thread that sleeps takes as long to wake as a small kernel runs. So helpers stay awake for half a millisecond, between the
//! passes of a call and between the calls of a training step, giving their core to whoever wants it; and nobody ever waits for
//! one that has not begun. So, too, a call inside a job, and calls of many threads at once, cannot lock each other: they find
//! fewer helpers.
//!
//! A forked child inherits the memory of its parent and none of its helpers. So a helper belongs to the *generation* of the
//! process that started it; `pthread_atfork` counts generations up in the child, whose first call then starts its own.
//! For the same reason nothing here takes a lock that a fork could leave locked, but for the first use itself, which is
//! over in microseconds.
//!
//! Threads never change a result: work is cut by element count, never by thread count.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};
use std::{hint, mem, ptr};

use crate::threads::MAX_THREADS;

/// How long a helper without work stays awake.
const AWAKE: Duration = Duration::from_micros(500);

/// How often somebody who waits looks before letting others run.
const LOOKS: usize = 64;

/// `f(0), f(1), … f(n − 1)`, in that order, computed on up to `threads` threads.
pub fn map<R: Send>(threads: usize, n: usize, f: impl Fn(usize) -> R + Sync) -> Vec<R> {
    if threads <= 1 || n <= 1 {
        return (0..n).map(f).collect();
    }
    let mut results: Vec<(usize, Option<R>)> = (0..n).map(|i| (i, None)).collect();
    for_each(threads, &mut results, |(i, result)| *result = Some(f(*i)));
    results
        .into_iter()
        .map(|(_, result)| result.unwrap_or_else(|| unreachable!("every item was reached")))
        .collect()
}

/// `f(item)` for each item, on up to `threads` threads.
pub fn for_each<I: Send>(threads: usize, items: &mut [I], f: impl Fn(&mut I) + Sync) {
    let threads = threads.min(items.len());
    if threads <= 1 {
        return items.iter_mut().for_each(f);
    }
    let rest = Mutex::new(items);
    together(threads, &|| {
        loop {
            let some = take_some(&rest, threads);
            if some.is_empty() {
                return;
            }
            some.iter_mut().for_each(&f);
        }
    });
}

/// The first ones of the rest: many while there are many, so that small items cost little; in the end one by one, so that all are
/// done at about the same time.
fn take_some<'a, I>(rest: &Mutex<&'a mut [I]>, threads: usize) -> &'a mut [I] {
    let mut rest = rest.lock().unwrap_or_else(PoisonError::into_inner);
    let all = mem::take(&mut *rest);
    let some = (all.len() / (4 * threads)).max(1).min(all.len());
    let (some, others) = all.split_at_mut(some);
    *rest = others;
    some
}

/// Runs `work` on the caller's thread, and on those of up to `threads − 1` helpers that come in time. A panic of one of them goes
/// on in the caller, after all are done.
fn together(threads: usize, work: &(dyn Fn() + Sync)) {
    let mut helpers: Vec<_> = (0..threads.min(MAX_THREADS) - 1).map_while(helper).collect();
    let job = Job { work, done: AtomicUsize::new(0), caller: thread::current(), panic: Mutex::new(None) };
    helpers.retain(|helper| helper.offer(&job));
    let offers = Offers { job: &job, helpers };
    job.run();
    drop(offers);
    if let Some(payload) = job.panic.into_inner().unwrap_or_else(PoisonError::into_inner) {
        resume_unwind(payload);
    }
}

/// A job, and who was offered it. However the caller leaves, it takes the offers back and waits for who has begun.
struct Offers<'a> {
    job: &'a Job<'a>,
    helpers: Vec<&'static Helper>,
}

impl Drop for Offers<'_> {
    fn drop(&mut self) {
        let begun = self.helpers.iter().filter(|helper| !helper.take_back(self.job)).count();
        wait(|| self.job.done.load(Ordering::Acquire) == begun);
    }
}

/// Waits for something that another thread does and then tells by [`Thread::unpark`].
fn wait(done: impl Fn() -> bool) {
    let mut since = None;
    while !(0..LOOKS).any(|_| {
        done() || {
            hint::spin_loop();
            false
        }
    }) {
        if since.get_or_insert_with(Instant::now).elapsed() < AWAKE {
            thread::yield_now();
        } else {
            thread::park();
        }
    }
}

/// What is handed out.
struct Job<'a> {
    /// Run once by each who takes part.
    work: &'a (dyn Fn() + Sync),
    /// Helpers that have run it.
    done: AtomicUsize,
    /// Who waits for them.
    caller: Thread,
    /// What the first one panicked with.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

impl Job<'_> {
    fn run(&self) {
        let Err(payload) = catch_unwind(AssertUnwindSafe(self.work)) else { return };
        let mut first = self.panic.lock().unwrap_or_else(PoisonError::into_inner);
        if first.is_none() {
            *first = Some(payload);
        } else {
            // Its `drop` could panic once more, and this helper would never be done.
            mem::forget(payload);
        }
    }
}

/// A thread of ours.
struct Helper {
    generation: usize,
    /// The job that it is offered; [`idle`], [`busy`] or [`retired`].
    offer: AtomicPtr<Job<'static>>,
    thread: OnceLock<Thread>,
}

/// Nothing is offered.
const fn idle() -> *mut Job<'static> {
    ptr::null_mut()
}

/// A job was taken, and is being run.
const fn busy() -> *mut Job<'static> {
    ptr::without_provenance_mut(1)
}

/// Nothing will be offered any more.
const fn retired() -> *mut Job<'static> {
    ptr::without_provenance_mut(2)
}

impl Helper {
    /// Offers a job, if it is idle.
    fn offer(&self, job: &Job<'_>) -> bool {
        self.tell(address(job))
    }

    /// Sets what is offered and wakes the helper, if it is idle.
    fn tell(&self, offer: *mut Job<'static>) -> bool {
        let told = self.offer.compare_exchange(idle(), offer, Ordering::Release, Ordering::Relaxed).is_ok();
        if told && let Some(thread) = self.thread.get() {
            thread.unpark();
        }
        told
    }

    /// Takes an offer back; false when the helper has taken it, and then it counts in `done` when it is.
    fn take_back(&self, job: &Job<'_>) -> bool {
        self.offer.compare_exchange(address(job), idle(), Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// The job that is offered, if it was not taken back meanwhile; from here on this helper is busy.
    fn take(&self) -> Option<*const Job<'static>> {
        let seen = self.offer.load(Ordering::Relaxed);
        if seen == idle() {
            return None;
        }
        let taken = self.offer.compare_exchange(seen, busy(), Ordering::Acquire, Ordering::Relaxed);
        taken.ok().map(<*mut _>::cast_const)
    }

    /// Runs jobs, until it is retired.
    fn serve(&self) {
        loop {
            wait(|| self.offer.load(Ordering::Relaxed) != idle());
            if self.offer.load(Ordering::Relaxed) == retired() {
                return;
            }
            let Some(job) = self.take() else { continue };
            #[allow(unsafe_code, reason = "a caller's job, which lives as long as the caller waits")]
            // SAFETY: `together` offered it, and it was taken just now: `take_back` fails from here on, so `together` does not
            // return, and the job and what it borrows live, until `done` counts this helper. That is the last touch.
            let job = unsafe { &*job };
            job.run();
            let caller = job.caller.clone();
            // Idle before done: the caller's next job, a moment later, is to find this helper.
            self.offer.store(idle(), Ordering::Release);
            job.done.fetch_add(1, Ordering::Release);
            caller.unpark();
        }
    }
}

/// A job as helpers see it. Its lifetime is `together`'s to keep.
fn address(job: &Job<'_>) -> *mut Job<'static> {
    ptr::from_ref(job).cast::<Job<'static>>().cast_mut()
}

static HELPERS: [AtomicPtr<Helper>; MAX_THREADS] = [const { AtomicPtr::new(ptr::null_mut()) }; MAX_THREADS];

/// How many forks lie between the process that loaded this library and this one.
static GENERATION: AtomicUsize = AtomicUsize::new(0);

/// A number that a forked child does not share with its parent, whose threads it does not have.
pub fn generation() -> usize {
    watch_forks();
    GENERATION.load(Ordering::Acquire)
}

/// Helper `i` of this process; none where the operating system refuses to start it, and then others do its work: same bits, only
/// later.
fn helper(i: usize) -> Option<&'static Helper> {
    let generation = generation();
    let slot = &HELPERS[i];
    let seen = slot.load(Ordering::Acquire);
    if let Some(helper) = kept(seen)
        && helper.generation == generation
    {
        return Some(helper);
    }
    let fresh = Arc::new(Helper { generation, offer: AtomicPtr::new(idle()), thread: OnceLock::new() });
    let started = {
        let helper = Arc::clone(&fresh);
        thread::Builder::new().name(format!("fourstep-{i}")).spawn(move || helper.serve()).ok()?
    };
    fresh.thread.get_or_init(|| started.thread().clone());
    match slot.compare_exchange(seen, Arc::as_ptr(&fresh).cast_mut(), Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => kept(Arc::into_raw(fresh).cast_mut()),
        // Another thread of this process was first.
        Err(theirs) => {
            fresh.tell(retired());
            kept(theirs)
        }
    }
}

#[allow(unsafe_code, reason = "HELPERS holds pointers; atomics cannot hold references")]
fn kept(helper: *mut Helper) -> Option<&'static Helper> {
    // SAFETY: every non-null pointer in `HELPERS` is that of an `Arc` whose count `helper` never gives back.
    unsafe { helper.as_ref() }
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
            for n in [0, 1, 2, 3, 8, 257] {
                let mut items = vec![0; n];
                for_each(threads, &mut items, |x| *x += 1);
                assert!(items.iter().all(|&x| x == 1), "{n} items, {threads} threads");
            }
        }
    }

    /// Whether more than one thread works; a helper may be with the call of another test, so it is tried some times.
    fn helped() -> bool {
        (0..20).any(|_| {
            let who = map(2, 20, |_| {
                thread::sleep(Duration::from_millis(2));
                thread::current().id()
            });
            who.iter().any(|id| *id != who[0])
        })
    }

    #[test]
    fn helpers_take_part() {
        assert!(helped(), "one thread did it all");
    }

    #[test]
    fn calls_inside_jobs_and_calls_of_many_threads_end() {
        let sums = |threads| map(threads, 20, |i| map(threads, 50, |j| i * j).into_iter().sum::<usize>());
        let want = sums(1);
        thread::scope(|scope| {
            for threads in [2, 3, 7, 2, 3, 7] {
                let (sums, want) = (&sums, &want);
                scope.spawn(move || (0..200).for_each(|_| assert_eq!(&sums(threads), want)));
            }
        });
    }

    #[test]
    fn helpers_that_sleep_wake_up() {
        for _ in 0..5 {
            thread::sleep(4 * AWAKE);
            assert!(helped(), "nobody woke up");
        }
    }

    #[test]
    fn more_threads_than_there_can_be_are_as_many_as_there_can_be() {
        assert_eq!(map(4000, 5000, |i| i).len(), 5000);
    }

    /// What panics again when it is dropped.
    struct Twice;

    impl Drop for Twice {
        fn drop(&mut self) {
            panic!("again");
        }
    }

    #[test]
    fn payloads_that_panic_themselves_do_not_hang_the_caller() {
        let panicked = catch_unwind(|| {
            for_each(3, &mut [0; 30], |_| {
                thread::sleep(Duration::from_millis(2));
                std::panic::panic_any(Twice);
            });
        });
        mem::forget(panicked);
        assert_eq!(map(3, 100, |i| i).len(), 100);
    }

    #[test]
    fn a_panic_goes_on_in_the_caller_and_leaves_the_helpers_whole() {
        for at in [0, 17, 99] {
            let panicked = catch_unwind(|| map(3, 100, |i| assert_ne!(i, at, "this one"))).unwrap_err();
            let message = panicked.downcast_ref::<String>().expect("a message");
            assert!(message.contains("this one"), "{message}");
            assert_eq!(map(3, 100, |i| i).len(), 100);
        }
    }
}
