use std::cell::Cell;
use std::rc::Rc;

use crate::limits;

use super::content::{Content, DetectError, Flaw, Window};
use super::facts::{Detected, Format, Kind, Reason, printable};
use super::{
    archive, compressed, flat, gguf, hdf5, json, numpy, onnx, pickle, plain, safetensors,
    saved_model, tar,
};

/// What the detectors share: the facts found, the place, and what may still be spent.
pub(super) struct Context {
    formats: Vec<Format>,
    within: Vec<String>,
    pub(super) steps: Rc<Cell<u64>>,
    /// Bytes that may still be decompressed.
    pub(super) inflate: u64,
    /// Archive members that may still be looked into.
    pub(super) members: u64,
    /// Bytes of HDF5 that may still be searched.
    pub(super) search: u64,
}

impl Context {
    /// Records a format at the present place.
    pub(super) fn found(&mut self, mut format: Format) {
        if self.formats.len() >= limits::FORMAT_FACTS {
            // The rest may be anything, so the whole counts as carrying code.
            if let Some(first) = self.formats.first_mut() {
                first.carries(Reason::ScanTruncated, "more formats inside than are listed");
            }
            return;
        }
        if !self.within.is_empty() {
            format.within = Some(self.within.join("!/"));
        }
        self.formats.push(format);
    }

    /// How many formats are known: a mark for [`Self::since`].
    pub(super) fn mark(&self) -> usize {
        self.formats.len()
    }

    /// The formats found since `mark`.
    pub(super) fn since(&self, mark: usize) -> &[Format] {
        self.formats.get(mark..).unwrap_or_default()
    }

    /// Records at `mark`, before everything that was found inside.
    pub(super) fn found_before(&mut self, mark: usize, format: Format) {
        let before = self.formats.len();
        self.found(format);
        if self.formats.len() > before {
            let at = mark.min(before);
            self.formats[at..].rotate_right(1);
        }
    }

    /// Looks at what lies inside an archive or a compressed stream.
    /// Answers `false` where it is nested too deeply to look.
    pub(super) fn inside(
        &mut self,
        name: &str,
        content: &mut dyn Content,
    ) -> Result<bool, DetectError> {
        if self.within.len() >= limits::FORMAT_DEPTH {
            return Ok(false);
        }
        self.within.push(printable(name));
        let looked = look(content, self);
        self.within.pop();
        looked.map(|()| true)
    }

    /// Whether the present place is the file itself.
    pub(super) fn outermost(&self) -> bool {
        self.within.is_empty()
    }
}

/// Turns what stopped a detector into marks on the format it was at.
pub(super) fn settle(result: Result<(), Flaw>, format: &mut Format) -> Result<(), DetectError> {
    match result {
        Ok(()) => Ok(()),
        Err(Flaw::Failed(error)) => Err(error),
        Err(Flaw::Malformed(why)) => {
            format.flaw(why);
            Ok(())
        }
        Err(Flaw::Limit(what)) => {
            format.carries(
                Reason::ScanTruncated,
                format!("the bound on {what} was reached"),
            );
            Ok(())
        }
    }
}

/// Says what a file is, from its bytes alone.
///
/// Reads what it needs: headers, the tail where a zip keeps its directory,
/// and the whole of formats that can only be judged whole (a pickle's
/// opcodes), each within the bounds of [`limits`]. A bound that is hit is
/// itself reported ([`Reason::ScanTruncated`]) and counts as carrying code.
///
/// # Errors
/// `DetectError` only where the reader fails; whatever the bytes are, they have an answer.
pub fn detect(content: &mut dyn Content) -> Result<Detected, DetectError> {
    let mut context = Context {
        formats: Vec::new(),
        within: Vec::new(),
        steps: Rc::new(Cell::new(limits::FORMAT_STEPS)),
        inflate: limits::INFLATED,
        members: limits::ARCHIVE_MEMBERS,
        search: limits::HDF5_SCAN,
    };
    look(content, &mut context)?;
    Ok(Detected {
        formats: context.formats,
    })
}

type Detector = fn(&mut Window<'_>, &mut Context) -> Result<(), Flaw>;

// All of them look at every file: none hides what another finds.
const DETECTORS: &[(Kind, Detector)] = &[
    (Kind::Safetensors, safetensors::detect),
    (Kind::Gguf, gguf::detect),
    (Kind::Numpy, numpy::detect),
    (Kind::Hdf5, hdf5::detect),
    (Kind::Tflite, flat::detect),
    (Kind::Executable, plain::executable),
    (Kind::Onnx, onnx::detect),
    (Kind::SavedModel, saved_model::detect),
    (Kind::Pickle, pickle::detect),
    (Kind::Zip, archive::detect),
    (Kind::Tar, tar::detect),
    (Kind::Gzip, compressed::detect),
    (Kind::Json, json::detect),
    (Kind::Script, plain::script),
];

fn look(content: &mut dyn Content, cx: &mut Context) -> Result<(), DetectError> {
    let mark = cx.mark();
    let mut window = Window::new(content, Rc::clone(&cx.steps));
    if window.len() == 0 {
        if cx.outermost() {
            cx.found(Format::new(Kind::Empty));
        }
        return Ok(());
    }
    for (kind, detector) in DETECTORS {
        let result = detector(&mut window, cx);
        if !matches!(result, Ok(()) | Err(Flaw::Malformed(_))) {
            // A detector settles what concerns a format it has recognised;
            // what comes here stopped it before it knew.
            let mut format = Format::new(*kind);
            settle(result, &mut format)?;
            cx.found(format);
        }
    }
    if cx.since(mark).is_empty() {
        let kind = match plain::is_text(&mut window) {
            Ok(true) => Kind::Text,
            Err(Flaw::Failed(error)) => return Err(error),
            _ => Kind::Unknown,
        };
        // Tensors and notes inside an archive are its own business.
        if cx.outermost() {
            cx.found(Format::new(kind));
        }
    }
    Ok(())
}
