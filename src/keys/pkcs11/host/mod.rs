//! The other side: this process is the one that holds the module.
//!
//! Each line has a thread of its own, with sessions of its own: as many calls
//! run at once as there are lines in use, and one caller wakes one thread.

mod create;
mod find;
mod held;
mod sign;
mod trouble;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use rustix::process::{Signal, set_parent_process_death_signal};
use rustix::thread::sched_yield;

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
    Some(match arguments.next() {
        Some(module) => match serve(Path::new(&module)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        None => ExitCode::from(2),
    })
}

/// Why it could not even begin: nobody is there who could be told.
struct Alone;

impl From<std::io::Error> for Alone {
    fn from(_: std::io::Error) -> Self {
        Self
    }
}

fn serve(module: &Path) -> Result<(), Alone> {
    super::super::harden::no_dumps();
    // Should the module hang when obreia is gone.
    let _best_effort = set_parent_process_death_signal(Some(Signal::KILL));
    let socket =
        rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3).map_err(std::io::Error::from)?;
    let socket = UnixStream::from(socket);
    socket.peer_addr()?;
    // A module that reads its standard input must not read requests.
    rustix::stdio::dup2_stdin(File::open("/dev/null")?).map_err(std::io::Error::from)?;

    let held = match Held::load(module) {
        Ok(held) => held,
        Err(trouble) => {
            let _nobody_listens = say(&socket, 0, Answer::Trouble(trouble), &[]);
            return Err(Alone);
        }
    };
    let host = Arc::new(Host {
        turn: held.is_serial().then(Mutex::default),
        held,
    });
    say(&socket, 0, Answer::Ready(host.held.library()), &[]).map_err(|_| Alone)?;
    let mut workers = Vec::new();
    while let Some(line) = wire::handed_over(&socket)? {
        workers.retain(|worker: &JoinHandle<()>| !worker.is_finished());
        let host = Arc::clone(&host);
        workers.push(thread::Builder::new().spawn(move || host.work(&line))?);
    }
    // Nobody asks any more; what was asked is still answered.
    for worker in workers {
        let _panicked = worker.join();
    }
    host.held.end();
    Ok(())
}

fn say(mut to: &UnixStream, id: u64, answer: Answer, body: &[u8]) -> Result<(), wire::WireFault> {
    wire::write(&mut to, &Reply { id, answer }, body)
}

/// A line that is looked at for a moment before its thread sleeps on it.
struct Eager<'a> {
    line: &'a UnixStream,
    until: Instant,
}

impl Read for Eager<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while Instant::now() < self.until {
            match recv(self.line, &mut *into, RecvFlags::DONTWAIT) {
                Ok((read, _)) => return Ok(read),
                Err(Errno::AGAIN | Errno::INTR) => sched_yield(),
                Err(e) => return Err(e.into()),
            }
        }
        self.line.read(into)
    }
}

struct Host {
    held: Held,
    /// Of a module that takes one call at a time.
    turn: Option<Mutex<()>>,
}

impl Host {
    /// Answers what is asked on a line until nobody asks there any more.
    fn work(&self, line: &UnixStream) {
        let mut sessions = Sessions::default();
        let mut until = Instant::now();
        // Broken requests are not answered: obreia sends none.
        while let Ok(Some((request, body))) =
            wire::read::<Request>(&mut Eager { line, until }, limits::MODULE_REQUEST)
        {
            let answered = {
                let turn = self.turn.as_ref();
                let _turn = turn.map(|turn| turn.lock().unwrap_or_else(PoisonError::into_inner));
                self.answer(&mut sessions, request.ask, &body)
            };
            let (answer, bytes) =
                answered.unwrap_or_else(|trouble| (Answer::Trouble(trouble), Vec::new()));
            drop(body);
            if say(line, request.id, answer, &bytes).is_err() {
                break;
            }
            until = Instant::now() + wire::BRISK;
        }
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
