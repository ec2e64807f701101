//! What a zip archive is for: PyTorch, Keras, NumPy or anything else.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;

use super::compressed::inflate;
use super::content::{DetectError, Flaw, Window};
use super::facts::{Format, Kind, Reason};
use super::keras;
use super::scan::{Context, settle};
use super::zip::{self, Directory, Member};

const STORED: u16 = 0;
const DEFLATED: u16 = 8;

pub(super) fn detect(window: &mut Window<'_>, cx: &mut Context) -> Result<(), Flaw> {
    let begins = zip::begins(window)?;
    let mut zip = Format::new(Kind::Zip);
    let directories = match zip::directories(window) {
        Ok(found) => found,
        Err(Flaw::Failed(error)) => return Err(Flaw::Failed(error)),
        Err(flaw) => {
            settle(Err(flaw), &mut zip)?;
            Vec::new()
        }
    };
    if directories.is_empty() {
        let flawed = !zip.malformed.is_empty() || zip.code_carrying();
        if begins || flawed {
            zip.flaw("no end record leads to a directory");
            zip.carries(Reason::NotScanned, "an archive without its directory");
            cx.found(zip);
        }
        return Ok(());
    }
    let mark = cx.mark();
    let mut archive = Archive::default();
    for (i, directory) in directories.iter().enumerate() {
        // An end record inside a stored member belongs to an archive in the archive.
        let end = directory.end;
        if archive.stored.iter().any(|span| span.contains(&end)) {
            continue;
        }
        if i > 0 {
            zip.flaw("more than one directory: readers may see different archives");
        }
        let result = archive.walk(window, cx, directory, &mut zip);
        settle(result, &mut zip)?;
    }
    archive.report(window, cx, &mut zip, mark, &directories[0]);
    Ok(())
}

#[derive(Default)]
struct Archive {
    members: u64,
    names: HashSet<u64>,
    hasher: RandomState,
    torch: bool,
    torchscript: bool,
    keras_config: bool,
    keras_metadata: bool,
    npy: u64,
    stored: Vec<Range<u64>>,
    lambda: Option<Format>,
}

impl Archive {
    fn walk(
        &mut self,
        window: &mut Window<'_>,
        cx: &mut Context,
        directory: &Directory,
        zip: &mut Format,
    ) -> Result<(), Flaw> {
        let mut at = directory.start;
        let mut seen = 0;
        while let Some((member, next)) = zip::member(window, directory, at)? {
            seen += 1;
            at = next;
            self.members += 1;
            if cx.members == 0 {
                return Err(Flaw::Limit("archive members"));
            }
            cx.members -= 1;
            self.name(&member, zip);
            let looked = self.look(window, cx, &member, zip);
            // What concerns one member does not end the walk.
            if let Err(Flaw::Limit(_)) = looked {
                return looked;
            }
            if let Err(Flaw::Malformed(_)) = &looked {
                zip.carries(Reason::NotScanned, format!("member {:?}", member.name));
            }
            settle(looked, zip)?;
        }
        if seen != directory.entries {
            zip.flaw(format!(
                "{seen} members, the end record says {}",
                directory.entries
            ));
        }
        Ok(())
    }

    fn name(&mut self, member: &Member, zip: &mut Format) {
        let name = member.name.as_str();
        if leads_out(name) {
            zip.flaw(format!("member {name:?} leads out of the archive"));
        }
        if member.symlink {
            zip.flaw(format!("member {name:?} is a symbolic link"));
        }
        if !self.names.insert(self.hasher.hash_one(name)) {
            zip.flaw(format!("member {name:?} stands twice"));
        }
        // PyTorch's and Keras' readers go by these names.
        let (folder, base) = name.rsplit_once('/').unwrap_or(("", name));
        self.torch |= base == "data.pkl";
        self.torchscript |= base == "constants.pkl"
            || folder.split('/').any(|part| part == "code") && base.ends_with(".py");
        self.keras_config |= name == "config.json";
        self.keras_metadata |= name == "metadata.json";
    }

    fn look(
        &mut self,
        window: &mut Window<'_>,
        cx: &mut Context,
        member: &Member,
        zip: &mut Format,
    ) -> Result<(), Flaw> {
        if member.encrypted {
            zip.carries(
                Reason::NotScanned,
                format!("member {:?} is encrypted", member.name),
            );
            return Ok(());
        }
        if member.packed == 0 && member.size == 0 {
            return Ok(());
        }
        let start = zip::data(window, member)?;
        let mark = cx.mark();
        let deep = match member.method {
            STORED => {
                if member.packed != member.size {
                    zip.flaw(format!("member {:?} has two sizes", member.name));
                }
                let mut section = window.section(start, member.packed)?;
                self.stored.push(start..start + member.packed);
                self.configuration(member, &mut section, cx)?;
                cx.inside(&member.name, &mut section)?
            }
            DEFLATED => {
                let (bytes, rest) = inflate(window, start, member.packed, false, cx)?;
                rest.mark(zip, &format!("member {:?}", member.name));
                self.configuration(member, &mut bytes.as_slice(), cx)?;
                cx.inside(&member.name, &mut bytes.as_slice())?
            }
            other => {
                zip.carries(
                    Reason::NotScanned,
                    format!("member {:?} is packed by method {other}", member.name),
                );
                return Ok(());
            }
        };
        if !deep {
            zip.carries(
                Reason::NotScanned,
                format!("member {:?} is nested too deeply", member.name),
            );
        }
        if cx.since(mark).iter().any(|f| f.kind == Kind::Numpy) {
            self.npy += 1;
        }
        Ok(())
    }

    fn configuration(
        &mut self,
        member: &Member,
        content: &mut dyn super::Content,
        cx: &Context,
    ) -> Result<(), DetectError> {
        if member.name == "config.json" {
            let mut window = Window::new(content, std::rc::Rc::clone(&cx.steps));
            let found = keras::configuration(&mut window, Kind::KerasLambda)?;
            // Of two members with this name, a harmless one must not hide the other.
            if self.lambda.is_none() || found.as_ref().is_some_and(Format::code_carrying) {
                self.lambda = found;
            }
        }
        Ok(())
    }

    fn report(
        self,
        window: &Window<'_>,
        cx: &mut Context,
        zip: &mut Format,
        mark: usize,
        directory: &Directory,
    ) {
        zip.set("members", self.members);
        if directory.base > 0 {
            zip.set("offset", directory.base);
        }
        if directory.trailing > 0 && directory.trailing < window.len() {
            zip.set("trailing_bytes", directory.trailing);
        }
        let inside: Vec<_> = cx
            .since(mark)
            .iter()
            .filter(|f| f.carries_itself())
            .map(|f| (f.kind, f.within.clone().unwrap_or_default()))
            .collect();
        let mut extra = Vec::new();
        if self.torch {
            let mut format = Format::new(Kind::TorchZip);
            format.carries(Reason::Format, "data.pkl is a pickle");
            extra.push(format);
        }
        if self.torchscript {
            let mut format = Format::new(Kind::Torchscript);
            format.carries(Reason::Program, "TorchScript code in the archive");
            extra.push(format);
        }
        if self.keras_config && self.keras_metadata {
            let mut keras = Format::new(Kind::KerasZip);
            if let Some(lambda) = self.lambda {
                keras.metadata = lambda.metadata.clone();
                if lambda.code_carrying() {
                    keras.carries(Reason::Member, "config.json");
                    extra.push(lambda);
                } else {
                    keras.malformed.clone_from(&lambda.malformed);
                }
            }
            extra.insert(0, keras);
        }
        if self.npy > 0 && self.npy == self.members {
            extra.push(Format::new(Kind::NumpyZip));
        }
        if inside.iter().any(|(kind, _)| *kind == Kind::Pickle) {
            let mut format = Format::new(Kind::PickleInZip);
            for (_, within) in inside.iter().filter(|(kind, _)| *kind == Kind::Pickle) {
                format.carries(Reason::Member, within);
            }
            extra.push(format);
        }
        for (kind, within) in inside {
            zip.carries(Reason::Member, format!("{kind} in {within}"));
        }
        for format in extra.into_iter().rev() {
            cx.found_before(mark, format);
        }
        cx.found_before(mark, std::mem::replace(zip, Format::new(Kind::Zip)));
    }
}

/// Whether a member's name, taken as a path, leads out of where it is unpacked.
pub(super) fn leads_out(name: &str) -> bool {
    name.starts_with('/')
        || name.starts_with('\\')
        || name.contains('\0')
        || name.as_bytes().get(1) == Some(&b':')
        || name.split(['/', '\\']).any(|part| part == "..")
}
