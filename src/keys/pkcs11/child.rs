//! The process that holds a module, as seen from here: started, asked,
//! given up on, ended.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};
use std::{io, net::Shutdown};

use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use tokio::sync::{Semaphore, SemaphorePermit, watch};

use super::line::Line;
use super::place::Place;
use super::wire::{
    self, Answer, Ask, Library, Reply, Request, SUBCOMMAND, Trouble, TroubleKind, WireFault,
};
use crate::secret::Secret;

/// How long a process that was told to end, or that broke off, may take.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum CallFault {
    /// The module said no.
    Trouble(Trouble),
    /// It took too long, and the process was killed.
    Deadline,
    /// The process is gone: how it ended.
    Gone(String),
}

impl CallFault {
    /// Whether a session, a login or the token itself was lost, so that
    /// opening it all anew may help.
    pub(super) const fn is_loss(&self) -> bool {
        matches!(
            self,
            Self::Trouble(Trouble {
                kind: TroubleKind::Lost | TroubleKind::Absent,
                ..
            })
        )
    }
}

type Answered = Result<(Answer, Secret), CallFault>;

/// A started process. Dropping it ends it.
pub(super) struct Child {
    /// The first line: new ones are handed over on it.
    first: Line,
    /// Lines that nobody uses; the one used last is at the end, and its
    /// thread over there the likeliest to be awake.
    idle: Mutex<Vec<Line>>,
    /// For each line that there may be.
    room: Semaphore,
    threads: usize,
    brisk: AtomicBool,
    shared: Arc<Shared>,
    ended: Mutex<mpsc::Receiver<()>>,
    library: Library,
}

struct Shared {
    process: Mutex<Option<std::process::Child>>,
    given_up: AtomicBool,
    /// What it sent that was no answer.
    broke: OnceLock<String>,
    /// How it ended.
    end: watch::Sender<Option<String>>,
}

impl Child {
    /// Starts the process and waits until its module is initialised.
    ///
    /// # Errors
    /// `CallFault`; `Trouble` of kind `Load` where the module cannot be used.
    pub(super) async fn start(place: &Place, deadline: Duration) -> Result<Arc<Self>, CallFault> {
        let broken = |e: io::Error| CallFault::Gone(format!("cannot be started: {e}"));
        let (first, theirs) = Line::pair().map_err(broken)?;
        let shared = Arc::new(Shared {
            process: Mutex::new(None),
            given_up: AtomicBool::new(false),
            broke: OnceLock::new(),
            end: watch::Sender::new(None),
        });
        let (over, ended) = mpsc::channel();
        let command = command(place, theirs);
        let supervised = Arc::clone(&shared);
        // The thread that starts the process is the one that waits for it: the
        // process asks to be killed when that thread ends.
        thread::Builder::new()
            .name("pkcs11".to_owned())
            .spawn(move || {
                supervise(command, &supervised);
                let _nobody_waits = over.send(());
            })
            .map_err(broken)?;
        let mut child = Self {
            first,
            idle: Mutex::default(),
            room: Semaphore::new(place.threads),
            threads: place.threads,
            brisk: AtomicBool::new(true),
            shared,
            ended: Mutex::new(ended),
            library: Library::default(),
        };
        let slow = AtomicBool::new(false);
        let said = async {
            match child.first.read::<Reply>(&slow, false).await {
                Ok(Some((reply, _))) => Ok(reply.answer),
                Ok(None) => Err(child.shared.gone().await),
                Err(fault) => Err(child.shared.broke(&fault).await),
            }
        };
        match tokio::time::timeout(deadline, said).await {
            Ok(Ok(Answer::Ready(library))) => {
                child.library = library;
                Ok(Arc::new(child))
            }
            Ok(Ok(Answer::Trouble(trouble))) => Err(CallFault::Trouble(trouble)),
            Ok(Ok(_)) => Err(CallFault::Gone("did not say that it is ready".to_owned())),
            Ok(Err(fault)) => Err(fault),
            Err(_) => {
                child.shared.kill();
                Err(CallFault::Deadline)
            }
        }
    }

    /// What the module says of itself.
    pub(super) const fn library(&self) -> &Library {
        &self.library
    }

    /// Whether it can still be asked.
    pub(super) fn is_alive(&self) -> bool {
        let shared = &self.shared;
        // One that was killed ends in a moment.
        let killed = shared.given_up.load(Ordering::Relaxed) || shared.broke.get().is_some();
        !killed && shared.end.borrow().is_none()
    }

    /// Asks, and waits for the answer. One that the module was asked for and
    /// does not give within `deadline` kills the process: a library that hangs
    /// cannot be reasoned with. A request that only waited for its turn does not.
    ///
    /// # Errors
    /// `CallFault`.
    pub(super) async fn ask(&self, ask: Ask, body: &[u8], deadline: Duration) -> Answered {
        match tokio::time::timeout(deadline, self.asked(ask, body, deadline / 10 * 9)).await {
            Ok(Ok((Answer::Trouble(trouble), _))) => Err(CallFault::Trouble(trouble)),
            Ok(answered) => answered,
            Err(_) => Err(CallFault::Deadline),
        }
    }

    async fn asked(&self, ask: Ask, body: &[u8], late: Duration) -> Answered {
        let begun = Instant::now();
        let mut call = self.line(late).await?;
        // Whoever asked is about to give up: what is sent now would only
        // keep the module from those that come after.
        if begun.elapsed() >= late {
            return Err(CallFault::Deadline);
        }
        let Some(line) = &mut call.line else {
            return Err(self.shared.gone().await);
        };
        let id = line.number();
        let frame = wire::frame(&Request { id, ask }, body)
            .map_err(|e| CallFault::Gone(format!("cannot be asked: {e}")))?;
        call.sent = Some(Instant::now());
        call.torn = true;
        if line.write(&frame).await.is_err() {
            return Err(self.shared.gone().await);
        }
        call.torn = false;
        loop {
            let alone = self.room.available_permits() + 1 == self.threads;
            match line.read::<Reply>(&self.brisk, alone).await {
                Ok(Some((reply, body))) if reply.id == id => {
                    call.sent = None;
                    return Ok((reply.answer, body));
                }
                // To one that was given up on before.
                Ok(Some((reply, _))) if reply.id < id => {}
                other => {
                    call.torn = true;
                    return Err(match other {
                        Ok(None) | Err(WireFault::Io(_)) => self.shared.gone().await,
                        Ok(Some(_)) => self.shared.broke(&WireFault::Malformed).await,
                        Err(fault) => self.shared.broke(&fault).await,
                    });
                }
            }
        }
    }

    /// A line that nobody uses, opened where there is none.
    async fn line(&self, late: Duration) -> Result<Call<'_>, CallFault> {
        let Ok(room) = self.room.acquire().await else {
            return Err(self.shared.gone().await);
        };
        if !self.is_alive() {
            return Err(self.shared.gone().await);
        }
        let line = match self.idle().pop() {
            Some(line) => line,
            None => self
                .open()
                .map_err(|e| CallFault::Gone(format!("cannot be asked: {e}")))?,
        };
        Ok(Call {
            child: self,
            line: Some(line),
            torn: false,
            sent: None,
            late,
            _room: room,
        })
    }

    fn open(&self) -> io::Result<Line> {
        let (line, theirs) = Line::pair()?;
        wire::hand_over(self.first.socket(), theirs.as_fd())?;
        Ok(line)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Line>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.idle().clear();
        let _already_closed = self.first.socket().shutdown(Shutdown::Write);
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        // Long enough to log out; a module that hangs is not waited for.
        if ended.recv_timeout(LAST_WORDS).is_err() {
            self.shared.kill();
        }
    }
}

impl std::fmt::Debug for Child {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Child({})", self.library.description)
    }
}

/// A call on a line of its own. One that nobody waits for any more, because
/// time ran out here or for whoever asked, kills the process if the module had
/// it for that time; otherwise its line is the last that is used again.
struct Call<'a> {
    child: &'a Child,
    line: Option<Line>,
    /// The line stopped in the middle of something.
    torn: bool,
    /// When it was sent, while it has no answer.
    sent: Option<Instant>,
    late: Duration,
    /// Given back after the line.
    _room: SemaphorePermit<'a>,
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if self.sent.is_some_and(|sent| sent.elapsed() >= self.late) {
            self.child.shared.kill();
        }
        let Some(line) = self.line.take().filter(|_| !self.torn) else {
            return;
        };
        let mut idle = self.child.idle();
        if self.sent.is_some() {
            idle.insert(0, line);
        } else {
            idle.push(line);
        }
    }
}

impl Shared {
    fn process(&self) -> MutexGuard<'_, Option<std::process::Child>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kill(&self) {
        self.given_up.store(true, Ordering::Relaxed);
        self.end_process();
    }

    fn end_process(&self) {
        if let Some(process) = &mut *self.process() {
            let _already_gone = process.kill();
        }
    }

    /// It closed a line: waits until it has ended, and ends it where it does not.
    async fn gone(&self) -> CallFault {
        let mut end = self.end.subscribe();
        let waited = end.wait_for(Option::is_some);
        if tokio::time::timeout(LAST_WORDS, waited).await.is_err() {
            self.end_process();
        }
        let over = end.wait_for(Option::is_some).await;
        let how = over.ok().and_then(|how| how.clone());
        CallFault::Gone(how.unwrap_or_else(|| "broke off".to_owned()))
    }

    /// It sent what is no answer, and is not asked again.
    async fn broke(&self, fault: &WireFault) -> CallFault {
        if !matches!(fault, WireFault::Io(_)) {
            let _said_before = self.broke.set(format!("sent what is no answer: {fault}"));
            self.end_process();
        }
        self.gone().await
    }

    fn ended(&self, how: String) {
        self.end.send_replace(Some(how));
    }
}

fn command(place: &Place, theirs: UnixStream) -> Command {
    let mut command = Command::new(&place.helper);
    command
        .args(&place.helper_arguments)
        .arg(SUBCOMMAND)
        .arg(&place.path)
        .env_clear()
        .envs(place.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        // What a vendor's library prints is nobody's business, and could be a PIN.
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Ctrl-C is for us, and we end it.
        .process_group(0);
    command
}

fn supervise(mut command: Command, shared: &Shared) {
    let pid = match command.spawn() {
        Ok(process) => {
            let pid = Pid::from_child(&process);
            *shared.process() = Some(process);
            pid
        }
        Err(e) => {
            shared.ended(format!("cannot be started: {e}"));
            return;
        }
    };
    // Its end of the socket is the process's alone from here on.
    drop(command);
    // Without reaping it: until then its number is nobody else's, and it can
    // be killed by it.
    let left = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while matches!(waitid(WaitId::Pid(pid), left), Err(Errno::INTR)) {}
    let status = shared.process().as_mut().and_then(|p| p.wait().ok());
    let how = match (shared.broke.get(), status) {
        (Some(broke), _) => broke.clone(),
        _ if shared.given_up.load(Ordering::Relaxed) => {
            "was killed, because it did not answer in time".to_owned()
        }
        (None, Some(status)) => told(status),
        (None, None) => "broke off".to_owned(),
    };
    shared.ended(how);
}

fn told(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => {
            let name = match signal {
                4 => " (SIGILL)",
                6 => " (SIGABRT)",
                7 => " (SIGBUS)",
                8 => " (SIGFPE)",
                9 => " (SIGKILL)",
                11 => " (SIGSEGV)",
                31 => " (SIGSYS)",
                _ => "",
            };
            format!("was ended by signal {signal}{name}")
        }
        (None, Some(code)) => format!("ended by itself with exit code {code}"),
        (None, None) => "ended".to_owned(),
    }
}
