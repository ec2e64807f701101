//! The other side: this process is the one that holds the module.
//!
//! Its threads take turns at the socket. Whoever reads a request lets the
//! next one read before the module is called, so that as many calls run at
//! once as there are threads, and a single caller wakes a single thread.

mod create;
mod find;
mod held;
mod sign;
mod trouble;

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use rustix::process::{Signal, set_parent_process_death_signal};

use self::held::{Held, Sessions};
use super::wire::{self, Answer, Ask, Reply, Request, SUBCOMMAND, Trouble};
use crate::limits;
use crate::secret::Secret;

/// Holds a module, where that is what the arguments ask for; the binary calls
/// this before anything else. `None` where they ask for something else.
pub fn host(mut arguments: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let _program = arguments.next();
    if arguments.next()? != SUBCOMMAND {
        return None;
    }
    let module = arguments.next();
    let threads = arguments.next().and_then(|n| n.to_str()?.parse().ok());
    Some(match (module, threads) {
        (Some(module), Some(threads)) => match serve(Path::new(&module), threads) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        _ => ExitCode::from(2),
    })
}

/// Why it could not even begin: nobody is there who could be told.
struct Alone;

impl From<std::io::Error> for Alone {
    fn from(_: std::io::Error) -> Self {
        Self
    }
}

fn serve(module: &Path, threads: usize) -> Result<(), Alone> {
    super::super::harden::no_dumps();
    // Should the module hang when obreia is gone.
    let _best_effort = set_parent_process_death_signal(Some(Signal::KILL));
    let socket =
        rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3).map_err(std::io::Error::from)?;
    let socket = UnixStream::from(socket);
    socket.peer_addr()?;
    // A module that reads its standard input must not read requests.
    rustix::stdio::dup2_stdin(File::open("/dev/null")?).map_err(std::io::Error::from)?;

    let mut output = socket.try_clone()?;
    let held = match Held::load(module) {
        Ok(held) => held,
        Err(trouble) => {
            let _nobody_listens = say(&mut output, 0, Answer::Trouble(trouble), &[]);
            return Err(Alone);
        }
    };
    let ready = Answer::Ready(held.library());
    let threads = if held.is_serial() { 1 } else { threads };
    say(&mut output, 0, ready, &[]).map_err(|_| Alone)?;
    let host = Arc::new(Host {
        held,
        input: Mutex::new(socket),
        output: Mutex::new(output),
        threads,
        reading: AtomicUsize::new(0),
        workers: Mutex::default(),
    });
    host.work();
    // Nobody asks any more; what was asked is still answered.
    while let Some(worker) = host.next_worker() {
        let _panicked = worker.join();
    }
    host.held.end();
    Ok(())
}

fn say(to: &mut UnixStream, id: u64, answer: Answer, body: &[u8]) -> Result<(), wire::WireFault> {
    wire::write(to, &Reply { id, answer }, body)
}

struct Host {
    held: Held,
    input: Mutex<UnixStream>,
    output: Mutex<UnixStream>,
    threads: usize,
    /// How many threads read, or wait to.
    reading: AtomicUsize,
    workers: Mutex<Vec<JoinHandle<()>>>,
}

impl Host {
    /// Answers until nobody asks any more.
    fn work(self: &Arc<Self>) {
        let mut sessions = Sessions::default();
        while let Some((request, body)) = self.next() {
            self.relieve();
            let (answer, bytes) = match self.answer(&mut sessions, request.ask, &body) {
                Ok(done) => done,
                Err(trouble) => (Answer::Trouble(trouble), Vec::new()),
            };
            drop(body);
            let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
            if say(&mut output, request.id, answer, &bytes).is_err() {
                break;
            }
        }
    }

    fn next(&self) -> Option<(Request, Secret)> {
        self.reading.fetch_add(1, Ordering::SeqCst);
        let request = {
            let mut input = self.input.lock().unwrap_or_else(PoisonError::into_inner);
            wire::read(&mut *input, limits::MODULE_REQUEST)
        };
        self.reading.fetch_sub(1, Ordering::SeqCst);
        // Broken requests are not answered: obreia sends none.
        request.ok().flatten()
    }

    /// Sees to it that somebody reads while this thread is busy.
    fn relieve(self: &Arc<Self>) {
        if self.reading.load(Ordering::SeqCst) > 0 {
            return;
        }
        let mut workers = self.workers();
        if workers.len() + 1 < self.threads {
            let host = Arc::clone(self);
            // Without another thread, one call after the other is made.
            let started = thread::Builder::new().spawn(move || host.work());
            workers.extend(started);
        }
    }

    fn workers(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_worker(&self) -> Option<JoinHandle<()>> {
        self.workers().pop()
    }

    fn answer(
        &self,
        sessions: &mut Sessions,
        ask: Ask,
        body: &Secret,
    ) -> Result<(Answer, Vec<u8>), Trouble> {
        let held = &self.held;
        let answer = match ask {
            Ask::Tokens => Answer::Tokens(held.tokens()?),
            Ask::Login { slot } => held.login(slot, body).map(|()| Answer::Done)?,
            Ask::Private { slot, object } => {
                Answer::Key(Box::new(held.private(sessions, slot, &object)?))
            }
            Ask::Public { slot, object } => {
                Answer::Key(Box::new(held.public(sessions, slot, &object)?))
            }
            Ask::List { slot } => Answer::Keys(held.list(sessions, slot)?),
            Ask::Sign {
                key,
                scheme,
                digest,
            } => {
                let signature = held.sign(sessions, key, &scheme, digest, body.expose())?;
                return Ok((Answer::Done, signature));
            }
            Ask::Generate {
                slot,
                kind,
                label,
                id,
            } => Answer::Key(Box::new(held.generate(slot, kind, &label, &id)?)),
            Ask::Destroy { key } => held.destroy(key).map(|()| Answer::Done)?,
        };
        Ok((answer, Vec::new()))
    }
}
