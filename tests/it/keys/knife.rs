//! Kills a command around the moment of its end, where it writes: a little
//! later after one that was cut short, a little earlier after one that was
//! done. How fast the machine is, and how busy, does not matter so.

use std::time::Duration;

use crate::harness::{Obreia, Output};

/// Most attempts in place of `rounds`, before both kinds of end were seen.
const PATIENCE: u32 = 8;

pub(super) struct Knife {
    delay: Duration,
    rounds: u32,
    round: u32,
    cut_short: u32,
    done: u32,
}

impl Knife {
    /// For a command that takes about `whole`.
    pub(super) fn new(whole: Duration, rounds: u32) -> Self {
        Self {
            delay: whole.mul_f64(0.8).max(Duration::from_millis(1)),
            rounds,
            round: 0,
            cut_short: 0,
            done: 0,
        }
    }

    /// The number of the next attempt, from 1; `None` after the last.
    ///
    /// # Panics
    /// Where all were cut short, or none: then nothing was tested.
    pub(super) fn next(&mut self) -> Option<u32> {
        let both = self.cut_short > 0 && self.done > 0;
        if self.round >= self.rounds && both {
            return None;
        }
        let counts = (self.cut_short, self.done);
        assert!(self.round < PATIENCE * self.rounds, "{counts:?}");
        self.round += 1;
        Some(self.round)
    }

    pub(super) fn cut(&self, command: Obreia) -> Output {
        let running = command.spawn();
        std::thread::sleep(self.delay);
        running.kill()
    }

    /// How the attempt ended: whether the command had done what it was to do.
    pub(super) fn ended(&mut self, done: bool) {
        if done {
            self.done += 1;
            self.delay = self.delay.mul_f64(0.9);
        } else {
            self.cut_short += 1;
            self.delay = self.delay.mul_f64(1.07);
        }
    }
}
