//! The process that holds a module, as seen from here: started, asked,
//! given up on, ended.

use std::collections::BTreeMap;
use std::io::{BufReader, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, oneshot};
use zeroize::Zeroizing;

use super::place::Place;
use super::wire::{self, Answer, Ask, Library, Reply, Request, SUBCOMMAND, Trouble, TroubleKind};
use crate::limits;
use crate::secret::Secret;

/// What of a request is so small that writing it never blocks: there are never
/// more in the socket than the module's process has threads.
const SMALL: usize = 1_024;
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
    to: Arc<tokio::sync::Mutex<UnixStream>>,
    /// Another handle of the same socket, to close it past the lock.
    socket: UnixStream,
    shared: Arc<Shared>,
    room: Semaphore,
    next: AtomicU64,
    ended: Mutex<mpsc::Receiver<()>>,
    library: Library,
}

struct Shared {
    waiting: Mutex<Waiting>,
    process: Mutex<Option<std::process::Child>>,
    given_up: AtomicBool,
}

enum Waiting {
    Open(BTreeMap<u64, oneshot::Sender<Answered>>),
    Ended(String),
}

impl Child {
    /// Starts the process and waits until its module is initialised.
    ///
    /// # Errors
    /// `CallFault`; `Trouble` of kind `Load` where the module cannot be used.
    pub(super) async fn start(place: &Place, deadline: Duration) -> Result<Arc<Self>, CallFault> {
        let broken = |e: std::io::Error| CallFault::Gone(format!("cannot be started: {e}"));
        let (ours, theirs) = UnixStream::pair().map_err(broken)?;
        let from = ours.try_clone().map_err(broken)?;
        let socket = ours.try_clone().map_err(broken)?;
        let (ready, first) = oneshot::channel();
        let shared = Arc::new(Shared {
            waiting: Mutex::new(Waiting::Open(BTreeMap::from([(0, ready)]))),
            process: Mutex::new(None),
            given_up: AtomicBool::new(false),
        });
        let (over, ended) = mpsc::channel();
        let command = command(place, theirs);
        let supervised = Arc::clone(&shared);
        // The thread that starts the process is the one that waits for it: the
        // process asks to be killed when that thread ends.
        thread::Builder::new()
            .name("pkcs11".to_owned())
            .spawn(move || {
                supervise(command, from, &supervised);
                let _nobody_waits = over.send(());
            })
            .map_err(broken)?;
        let mut child = Self {
            to: Arc::new(tokio::sync::Mutex::new(ours)),
            socket,
            shared,
            room: Semaphore::new(place.threads),
            next: AtomicU64::new(1),
            ended: Mutex::new(ended),
            library: Library::default(),
        };
        match tokio::time::timeout(deadline, first).await {
            Ok(Ok(Ok((Answer::Ready(library), _)))) => {
                child.library = library;
                Ok(Arc::new(child))
            }
            Ok(Ok(Ok((Answer::Trouble(trouble), _)))) => Err(CallFault::Trouble(trouble)),
            Ok(Ok(Ok(_))) => Err(CallFault::Gone("did not say that it is ready".to_owned())),
            Ok(Ok(Err(fault))) => Err(fault),
            Ok(Err(_)) => Err(CallFault::Gone(child.shared.end())),
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
        matches!(&*self.shared.waiting(), Waiting::Open(_))
    }

    /// Asks, and waits for the answer. One that the module was asked for and
    /// does not give within `deadline` kills the process: a library that hangs
    /// cannot be reasoned with. A request that only waited for its turn does not.
    ///
    /// # Errors
    /// `CallFault`.
    pub(super) async fn ask(&self, ask: Ask, body: &[u8], deadline: Duration) -> Answered {
        let (begun, sent) = (Instant::now(), OnceLock::new());
        let late = deadline / 10 * 9;
        let asking = async {
            let Ok(_room) = self.room.acquire().await else {
                return Err(CallFault::Gone(self.shared.end()));
            };
            // Whoever asked is about to give up: what is sent now would only
            // keep the module from those that come after.
            if begun.elapsed() >= late {
                return Err(CallFault::Deadline);
            }
            let id = self.next.fetch_add(1, Ordering::Relaxed);
            let (sender, receiver) = oneshot::channel();
            match &mut *self.shared.waiting() {
                Waiting::Open(waiting) => waiting.insert(id, sender),
                Waiting::Ended(how) => return Err(CallFault::Gone(how.clone())),
            };
            let _asked = Asked {
                shared: &self.shared,
                id,
                sent: &sent,
                late,
            };
            let frame = wire::frame(&Request { id, ask }, body)
                .map_err(|e| CallFault::Gone(format!("cannot be asked: {e}")))?;
            // A failure to write shows in how the process ended.
            self.send(frame, &sent).await;
            receiver
                .await
                .unwrap_or_else(|_| Err(CallFault::Gone(self.shared.end())))
        };
        match tokio::time::timeout(deadline, asking).await {
            Ok(Ok((Answer::Trouble(trouble), _))) => Err(CallFault::Trouble(trouble)),
            Ok(answered) => answered,
            Err(_) => Err(CallFault::Deadline),
        }
    }

    async fn send(&self, frame: Zeroizing<Vec<u8>>, sent: &OnceLock<Instant>) {
        let mut to = Arc::clone(&self.to).lock_owned().await;
        sent.get_or_init(Instant::now);
        if frame.len() <= SMALL {
            let _shows_later = to.write_all(&frame);
            return;
        }
        let _shows_later = tokio::task::spawn_blocking(move || to.write_all(&frame)).await;
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _already_closed = self.socket.shutdown(Shutdown::Write);
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

/// A request that waits. One that nobody waits for any more, because time ran
/// out here or for whoever asked, kills the process if the module had it for
/// that time.
struct Asked<'a> {
    shared: &'a Shared,
    id: u64,
    /// When it was sent.
    sent: &'a OnceLock<Instant>,
    late: Duration,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let unanswered = match &mut *self.shared.waiting() {
            Waiting::Open(waiting) => waiting.remove(&self.id).is_some(),
            Waiting::Ended(_) => false,
        };
        let had = self.sent.get().map(Instant::elapsed);
        if unanswered && had.is_some_and(|had| had >= self.late) {
            self.shared.kill();
        }
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn process(&self) -> MutexGuard<'_, Option<std::process::Child>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kill(&self) {
        self.given_up.store(true, Ordering::Relaxed);
        if let Some(process) = &mut *self.process() {
            let _already_gone = process.kill();
        }
    }

    /// How it ended.
    fn end(&self) -> String {
        match &*self.waiting() {
            Waiting::Ended(how) => how.clone(),
            Waiting::Open(_) => "broke off".to_owned(),
        }
    }

    fn answer(&self, reply: Reply, body: Secret) {
        let sender = match &mut *self.waiting() {
            Waiting::Open(waiting) => waiting.remove(&reply.id),
            Waiting::Ended(_) => None,
        };
        // Nobody waits for what was given up on.
        if let Some(sender) = sender {
            let _given_up = sender.send(Ok((reply.answer, body)));
        }
    }

    fn ended(&self, how: &str) {
        let before = std::mem::replace(&mut *self.waiting(), Waiting::Ended(how.to_owned()));
        if let Waiting::Open(waiting) = before {
            for sender in waiting.into_values() {
                let _given_up = sender.send(Err(CallFault::Gone(how.to_owned())));
            }
        }
    }
}

fn command(place: &Place, theirs: UnixStream) -> Command {
    let mut command = Command::new(&place.helper);
    command
        .args(&place.helper_arguments)
        .arg(SUBCOMMAND)
        .arg(&place.path)
        .arg(place.threads.to_string())
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

fn supervise(mut command: Command, from: UnixStream, shared: &Shared) {
    match command.spawn() {
        Ok(process) => *shared.process() = Some(process),
        Err(e) => {
            shared.ended(&format!("cannot be started: {e}"));
            return;
        }
    }
    // Its end of the socket is the process's alone from here on.
    drop(command);
    let mut from = BufReader::new(from);
    let broke = loop {
        match wire::read::<Reply>(&mut from, limits::MODULE_REPLY) {
            Ok(Some((reply, body))) => shared.answer(reply, body),
            Ok(None) => break None,
            Err(wire::WireFault::Io(_)) => break None,
            Err(fault) => break Some(format!("sent what is no answer: {fault}")),
        }
    };
    if broke.is_some() {
        shared.kill();
    }
    let status = wait(shared);
    let how = match (broke, status) {
        (Some(broke), _) => broke,
        _ if shared.given_up.load(Ordering::Relaxed) => {
            "was killed, because it did not answer in time".to_owned()
        }
        (None, Some(status)) => told(status),
        (None, None) => "broke off".to_owned(),
    };
    shared.ended(&how);
}

/// Waits until the process has ended, and kills it where it does not.
fn wait(shared: &Shared) -> Option<ExitStatus> {
    let begun = Instant::now();
    let mut pause = Duration::from_micros(100);
    loop {
        {
            let mut process = shared.process();
            let process = process.as_mut()?;
            match process.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if begun.elapsed() < LAST_WORDS => {}
                _ => {
                    let _already_gone = process.kill();
                    return process.wait().ok();
                }
            }
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
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
