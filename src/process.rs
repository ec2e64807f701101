//! Programs that are started: they end with all that they started.

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Child;

/// The process group of a program that leads it: ended with all that is in it
/// when this is dropped before the program has ended by itself. Then it is to
/// be emptied, for its number may be another process' from there on.
pub(crate) struct Group(pub(crate) Option<Pid>);

impl Group {
    /// Of a program that was started with a group of its own.
    pub(crate) fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| Pid::from_raw(id.cast_signed())))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        end(self.0);
    }
}

/// Ends all that is in a group.
pub(crate) fn end(group: Option<Pid>) {
    if let Some(group) = group {
        // Gone already, then.
        let _ = kill_process_group(group, Signal::KILL);
    }
}
