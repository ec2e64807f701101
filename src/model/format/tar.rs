use super::archive::leads_out;
use super::content::{Flaw, Window, malformed};
use super::facts::{Format, Kind, Reason};
use super::scan::{Context, settle};

const BLOCK: u64 = 512;

/// tar (POSIX ustar, GNU and pax), by a header whose checksum is right.
pub(super) fn detect(window: &mut Window<'_>, cx: &mut Context) -> Result<(), Flaw> {
    let head = window.upto(0, BLOCK as usize)?;
    if head.len() < BLOCK as usize || !checksum_fits(head) {
        return Ok(());
    }
    let mut format = Format::new(Kind::Tar);
    let mark = cx.mark();
    let mut tar = Tar::default();
    let result = tar.walk(window, cx, &mut format);
    if let Err(Flaw::Malformed(_)) = &result {
        format.carries(Reason::NotScanned, "the members after the flaw");
    }
    settle(result, &mut format)?;
    format.set("members", tar.members);
    let inside: Vec<_> = cx
        .since(mark)
        .iter()
        .filter(|f| f.carries_itself())
        .map(|f| format!("{} in {}", f.kind, f.within.as_deref().unwrap_or_default()))
        .collect();
    for member in inside {
        format.carries(Reason::Member, member);
    }
    if tar.pickle && tar.storages {
        let mut torch = Format::new(Kind::TorchTar);
        torch.carries(Reason::Format, "pickles beside raw storages");
        cx.found_before(mark, torch);
    }
    cx.found_before(mark, format);
    Ok(())
}

#[derive(Default)]
struct Tar {
    members: u64,
    pickle: bool,
    storages: bool,
}

impl Tar {
    fn walk(
        &mut self,
        window: &mut Window<'_>,
        cx: &mut Context,
        format: &mut Format,
    ) -> Result<(), Flaw> {
        let mut at = 0;
        let mut long = None;
        while at < window.len() {
            let head = window.bytes(at, BLOCK as usize)?.to_vec();
            if head.iter().all(|b| *b == 0) {
                return Ok(());
            }
            if !checksum_fits(&head) {
                return malformed(format!("the header at {at} has a wrong checksum"));
            }
            let Some(size) = number(&head[124..136]) else {
                return malformed(format!("the header at {at} has no size"));
            };
            let start = at + BLOCK;
            let Some(next) = size
                .checked_next_multiple_of(BLOCK)
                .and_then(|n| n.checked_add(start))
            else {
                return malformed("a member's size overflows");
            };
            match head[156] {
                // A longer name for the next member.
                b'L' | b'x' => {
                    let n = size.min(8192) as usize;
                    long = long_name(window.bytes(start, n)?, head[156]).or(long);
                }
                b'g' | b'K' => {}
                kind => {
                    let name = long.take().unwrap_or_else(|| name(&head));
                    self.member(window, cx, format, (kind, &name, &head), (start, size))?;
                }
            }
            at = next;
        }
        Ok(())
    }

    fn member(
        &mut self,
        window: &mut Window<'_>,
        cx: &mut Context,
        format: &mut Format,
        (kind, name, head): (u8, &str, &[u8]),
        (start, size): (u64, u64),
    ) -> Result<(), Flaw> {
        self.members += 1;
        if cx.members == 0 {
            return Err(Flaw::Limit("archive members"));
        }
        cx.members -= 1;
        if leads_out(name) {
            format.flaw(format!("member {name:?} leads out of the archive"));
        }
        if matches!(kind, b'1' | b'2') {
            let target = text(&head[157..257]);
            if leads_out(&target) {
                format.flaw(format!("link {name:?} leads out to {target:?}"));
            }
            return Ok(());
        }
        if matches!(kind, b'3' | b'4' | b'6') {
            format.flaw(format!("member {name:?} is a device or a pipe"));
        }
        let base = name.trim_start_matches("./");
        self.pickle |= base == "pickle";
        self.storages |= base == "storages";
        if size > 0 {
            let mut section = window.section(start, size)?;
            if !cx.inside(name, &mut section)? {
                format.carries(
                    Reason::NotScanned,
                    format!("member {name:?} is nested too deeply"),
                );
            }
        }
        Ok(())
    }
}

fn checksum_fits(head: &[u8]) -> bool {
    let Some(told) = number(&head[148..156]) else {
        return false;
    };
    let sum: u64 = head
        .iter()
        .enumerate()
        .map(|(i, b)| {
            if (148..156).contains(&i) {
                32
            } else {
                u64::from(*b)
            }
        })
        .sum();
    // All zeroes but spaces would sum to 256 with an empty name.
    sum == told && head[0] != 0
}

/// Octal digits between spaces and NULs, or GNU's base-256.
fn number(field: &[u8]) -> Option<u64> {
    if field[0] & 0x80 != 0 {
        let (high, low) = field.split_at_checked(field.len().checked_sub(8)?)?;
        let (first, zeroes) = high.split_first()?;
        let plain = *first == 0x80 && zeroes.iter().all(|b| *b == 0);
        return plain.then(|| low.iter().fold(0, |n, b| n << 8 | u64::from(*b)));
    }
    let digits: Vec<_> = field
        .iter()
        .copied()
        .skip_while(|b| *b == b' ')
        .take_while(|b| !matches!(b, b' ' | 0))
        .collect();
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |n, b| match b {
        b'0'..=b'7' => n.checked_mul(8)?.checked_add(u64::from(b - b'0')),
        _ => None,
    })
}

fn text(field: &[u8]) -> String {
    let end = field.iter().position(|b| *b == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}

fn name(head: &[u8]) -> String {
    let name = text(&head[..100]);
    let prefix = text(&head[345..500]);
    if &head[257..262] == b"ustar" && !prefix.is_empty() && head[263..265] == *b"00" {
        return format!("{prefix}/{name}");
    }
    name
}

fn long_name(bytes: &[u8], kind: u8) -> Option<String> {
    if kind == b'L' {
        return Some(text(bytes));
    }
    // pax: "LENGTH path=NAME\n".
    let mut rest = bytes;
    while let Some(space) = rest.iter().position(|b| *b == b' ') {
        let len: usize = std::str::from_utf8(&rest[..space]).ok()?.parse().ok()?;
        let record = rest.get(space + 1..len.checked_sub(1)?)?;
        if let Some(path) = record.strip_prefix(b"path=") {
            return Some(String::from_utf8_lossy(path).into_owned());
        }
        rest = rest.get(len..)?;
    }
    None
}
