//! What obreia and the process that holds a module say to each other: a
//! length, the length of a JSON head, the head, and a body of bytes (a PIN, a
//! digest, a signature) that is wiped when it was used.
//!
//! The process begins with one socket, its standard input. On it it says
//! whether its module is there, and then gets the ends of others, one for each
//! call that may run beside those that run already. The end of the first is
//! the end of its work.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::secret::Secret;

/// The argument by which the binary knows that it is to hold a module.
pub(super) const SUBCOMMAND: &str = "__pkcs11-module";

/// How long either end looks for the other's next words before it sleeps.
pub(super) const BRISK: Duration = Duration::from_micros(200);

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Request {
    /// From 1, on each socket; the reply has the same.
    pub(super) id: u64,
    pub(super) ask: Ask,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Ask {
    /// All tokens. Answered with `Tokens`.
    Tokens,
    /// Log in; the body is the PIN, and without one the token's own keypad
    /// asks. Answered with `Done`, also where somebody is logged in.
    Login { slot: u64 },
    /// The one private key that is named so. Answered with `Key`.
    Private { slot: u64, object: Object },
    /// The one public key or certificate that is named so. Answered with `Key`.
    Public { slot: u64, object: Object },
    /// All public keys that can sign something. Answered with `Keys`.
    List { slot: u64 },
    /// Sign the body, which is a digest or a whole message. Answered with
    /// `Done`, and the signature as the token gave it.
    Sign {
        key: u64,
        scheme: String,
        digest: bool,
    },
    /// Make a key pair. Answered with `Key`.
    Generate {
        slot: u64,
        kind: Kind,
        label: String,
        id: Vec<u8>,
    },
    /// Destroy a key pair that this process made. Answered with `Done`.
    Destroy { key: u64 },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Object {
    pub(super) label: Option<String>,
    pub(super) id: Option<Vec<u8>>,
}

/// A key to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kind {
    P256,
    P384,
    P521,
    Ed25519,
    Rsa(u32),
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Reply {
    /// The request's; 0 for what is said at the start.
    pub(super) id: u64,
    pub(super) answer: Answer,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    /// The module is loaded and initialised.
    Ready(Library),
    Tokens(Vec<Token>),
    Key(Box<Facts>),
    Keys(Vec<Facts>),
    Done,
    Trouble(Trouble),
}

/// `CK_INFO`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Library {
    pub(super) description: String,
    pub(super) manufacturer: String,
    pub(super) version: String,
}

/// `CK_TOKEN_INFO` and `CK_SLOT_INFO`, as far as they matter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Token {
    pub(super) slot: u64,
    pub(super) slot_description: String,
    pub(super) slot_manufacturer: String,
    pub(super) label: String,
    pub(super) manufacturer: String,
    pub(super) model: String,
    pub(super) serial: String,
    /// Private keys show and sign only after a login.
    pub(super) login_required: bool,
    /// The PIN is typed on the token itself.
    pub(super) keypad: bool,
    /// A wrong PIN was tried since the last right one.
    pub(super) count_low: bool,
    pub(super) final_try: bool,
    pub(super) locked: bool,
    /// This process is logged in.
    pub(super) logged_in: bool,
}

/// What a token shows of a key; parsed on the other side.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Facts {
    /// By which this process knows a private key; 0 for others.
    pub(super) key: u64,
    pub(super) label: Vec<u8>,
    pub(super) id: Vec<u8>,
    /// `CKA_SIGN`, where it is a private key that has it.
    pub(super) signs: Option<bool>,
    /// Whether the material may leave the token: `CKA_EXTRACTABLE`, and not
    /// `CKA_SENSITIVE`; of a private key that says so.
    pub(super) leaves: Option<bool>,
    /// `CKA_ALWAYS_AUTHENTICATE`
    pub(super) asks_each_time: bool,
    /// `CKA_PUBLIC_KEY_INFO`
    pub(super) spki: Option<Vec<u8>>,
    /// `CKA_KEY_TYPE`
    pub(super) family: Family,
    pub(super) ec_params: Option<Vec<u8>>,
    pub(super) ec_point: Option<Vec<u8>>,
    pub(super) modulus: Option<Vec<u8>>,
    pub(super) exponent: Option<Vec<u8>>,
    /// An X.509 certificate that goes with it.
    pub(super) certificate: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Family {
    Ec,
    Edwards,
    Rsa,
    #[default]
    Other,
}

/// What the module refused, or how it failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Trouble {
    pub(super) kind: TroubleKind,
    /// The function and its return value: `C_Sign: CKR_DEVICE_ERROR`.
    pub(super) text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum TroubleKind {
    /// It cannot be loaded or initialised.
    Load,
    /// The PIN is wrong.
    Pin,
    /// The PIN is locked.
    PinLocked,
    /// The session, the login or the key's handle is gone; opening it anew may help.
    Lost,
    /// There is no token in the slot any more.
    Absent,
    /// The token does not sign so.
    Mechanism,
    /// The key or the token is not for this.
    NotPermitted,
    /// No such object.
    Missing,
    /// More than one such object.
    Several,
    /// An object of that name is there already.
    Exists,
    /// The token did not keep a new key as secret as it was told to.
    Exposed,
    /// Anything else.
    Other,
}

/// Why there is no frame.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireFault {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("it says {0} bytes, and {1} are read")]
    TooLarge(usize, usize),
    #[error("it is no message of ours")]
    Malformed,
}

/// One frame in memory, to be written at once; wiped, since it may hold a PIN.
pub(super) fn frame<T: Serialize>(head: &T, body: &[u8]) -> Result<Zeroizing<Vec<u8>>, WireFault> {
    let head = serde_json::to_vec(head).map_err(|_| WireFault::Malformed)?;
    let whole = 4 + head.len() + body.len();
    let whole_bytes = u32::try_from(whole).map_err(|_| WireFault::Malformed)?;
    let head_bytes = u32::try_from(head.len()).map_err(|_| WireFault::Malformed)?;
    let mut frame = Zeroizing::new(Vec::with_capacity(4 + whole));
    frame.extend_from_slice(&whole_bytes.to_be_bytes());
    frame.extend_from_slice(&head_bytes.to_be_bytes());
    frame.extend_from_slice(&head);
    frame.extend_from_slice(body);
    Ok(frame)
}

pub(super) fn write<T: Serialize>(
    to: &mut impl Write,
    head: &T,
    body: &[u8],
) -> Result<(), WireFault> {
    Ok(to.write_all(&frame(head, body)?)?)
}

/// The next frame of at most `limit` bytes; `None` where the other side is done.
pub(super) fn read<T: DeserializeOwned>(
    from: &mut impl Read,
    limit: usize,
) -> Result<Option<(T, Secret)>, WireFault> {
    let Some(whole) = length(from)? else {
        return Ok(None);
    };
    if whole > limit {
        return Err(WireFault::TooLarge(whole, limit));
    }
    let mut bytes = Zeroizing::new(vec![0; whole]);
    from.read_exact(&mut bytes)?;
    parts(&bytes).map(Some)
}

/// Takes the next frame of at most `limit` bytes off what was read; `None`
/// where it is not all there.
pub(super) fn take<T: DeserializeOwned>(
    got: &mut Vec<u8>,
    limit: usize,
) -> Result<Option<(T, Secret)>, WireFault> {
    let Some((length, rest)) = got.split_first_chunk() else {
        return Ok(None);
    };
    let whole = u32::from_be_bytes(*length) as usize;
    if whole > limit {
        return Err(WireFault::TooLarge(whole, limit));
    }
    let Some(bytes) = rest.get(..whole) else {
        return Ok(None);
    };
    let parts = parts(bytes)?;
    got.drain(..length.len() + whole);
    Ok(Some(parts))
}

/// Head and body of a frame.
fn parts<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, Secret), WireFault> {
    let (head_length, rest) = bytes.split_at_checked(4).ok_or(WireFault::Malformed)?;
    let head_length = head_length
        .iter()
        .fold(0usize, |n, byte| n << 8 | usize::from(*byte));
    let (head, body) = rest
        .split_at_checked(head_length)
        .ok_or(WireFault::Malformed)?;
    let head = serde_json::from_slice(head).map_err(|_| WireFault::Malformed)?;
    Ok((head, Secret::new(body.to_vec())))
}

fn length(from: &mut impl Read) -> Result<Option<usize>, WireFault> {
    let mut bytes = [0; 4];
    let mut have = 0;
    while have < bytes.len() {
        match from.read(&mut bytes[have..]) {
            Ok(0) if have == 0 => return Ok(None),
            Ok(0) => return Err(WireFault::Malformed),
            Ok(more) => have += more,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(Some(u32::from_be_bytes(bytes) as usize))
}

/// Hands the end of another socket over. A byte goes with it, since nothing
/// goes alone.
pub(super) fn hand_over(first: &UnixStream, end: BorrowedFd<'_>) -> io::Result<()> {
    let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut room);
    let ends = [end];
    ancillary.push(SendAncillaryMessage::ScmRights(&ends));
    let byte = [IoSlice::new(&[0])];
    sendmsg(first, &byte, &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Waits for the end of another socket; `None` where the other side is done.
pub(super) fn handed_over(first: &UnixStream) -> io::Result<Option<UnixStream>> {
    loop {
        let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut room);
        let mut byte = [0];
        let mut bytes = [IoSliceMut::new(&mut byte)];
        match recvmsg(first, &mut bytes, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
            Ok(got) if got.bytes == 0 => return Ok(None),
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(e) => return Err(e.into()),
        }
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(mut ends) = message
                && let Some(end) = ends.next()
            {
                return Ok(Some(end.into()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request {
        Request {
            id: 7,
            ask: Ask::Login { slot: 3 },
        }
    }

    fn read_back(bytes: &[u8]) -> Result<Option<(Request, Secret)>, WireFault> {
        read(&mut &bytes[..], 1_000)
    }

    #[test]
    fn what_is_written_is_read() {
        let mut bytes = frame(&request(), b"1234").unwrap().to_vec();
        bytes.extend_from_slice(&frame(&request(), b"").unwrap());
        let mut from = &bytes[..];
        let (head, body) = read::<Request>(&mut from, 1_000).unwrap().unwrap();
        assert!(matches!(head.ask, Ask::Login { slot: 3 }));
        assert_eq!((head.id, body.expose()), (7, &b"1234"[..]));
        let (_, body) = read::<Request>(&mut from, 1_000).unwrap().unwrap();
        assert!(body.is_empty());
        assert!(read::<Request>(&mut from, 1_000).unwrap().is_none());
    }

    #[test]
    fn what_comes_in_pieces_is_taken_when_it_is_whole() {
        let whole = frame(&request(), b"1234").unwrap().to_vec();
        let mut got = Vec::new();
        for byte in &whole {
            assert!(take::<Request>(&mut got, 1_000).unwrap().is_none());
            got.push(*byte);
        }
        got.extend_from_slice(&whole[..5]);
        let (head, body) = take::<Request>(&mut got, 1_000).unwrap().unwrap();
        assert_eq!((head.id, body.expose()), (7, &b"1234"[..]));
        assert_eq!(got, whole[..5]);
        assert!(take::<Request>(&mut got, 1_000).unwrap().is_none());
        for (bad, limit) in [
            (&[0xff; 4][..], 1_000),
            (&[0, 0, 0, 0], 1_000),
            (&whole, 10),
        ] {
            assert!(take::<Request>(&mut bad.to_vec(), limit).is_err());
        }
    }

    #[test]
    fn what_is_cut_short_too_long_or_no_frame_is_refused() {
        let whole = frame(&request(), b"1234").unwrap().to_vec();
        for end in 1..whole.len() {
            assert!(read_back(&whole[..end]).is_err(), "{end}");
        }
        assert!(matches!(
            read_back(&[0xff; 8]),
            Err(WireFault::TooLarge(_, 1_000))
        ));
        for bad in [
            &[0, 0, 0, 0][..],
            &[0, 0, 0, 4, 0, 0, 0, 1],
            &[0, 0, 0, 6, 0xff, 0xff, 0xff, 0xff, b'{', b'}'],
            &[0, 0, 0, 6, 0, 0, 0, 2, b'{', b'}'],
        ] {
            assert!(read_back(bad).is_err(), "{bad:?}");
        }
    }
}
