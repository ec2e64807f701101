//! Progress bars: on a terminal, and only once something has taken a second.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::source::Progress;

/// How long something may take before a bar is worth showing.
const PATIENCE: Duration = Duration::from_secs(1);

/// A bar of bytes with throughput, or nothing where none is wanted.
#[derive(Debug)]
pub struct Bytes {
    bar: Option<ProgressBar>,
    started: Instant,
    seen: AtomicU64,
}

impl Bytes {
    /// A bar named `label`; silent unless `shown`.
    pub fn new(label: &str, shown: bool) -> Self {
        let bar = shown.then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
            let style = ProgressStyle::with_template(
                "{prefix} {bytes} at {binary_bytes_per_sec} {spinner}",
            );
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_prefix(label.to_owned());
            bar
        });
        Self {
            bar,
            started: Instant::now(),
            seen: AtomicU64::new(0),
        }
    }
}

impl Progress for Bytes {
    fn add(&self, bytes: u64) {
        let Some(bar) = &self.bar else { return };
        self.seen.fetch_add(bytes, Ordering::Relaxed);
        if bar.is_hidden() && self.started.elapsed() >= PATIENCE {
            bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        bar.inc(bytes);
    }
}

impl Drop for Bytes {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
