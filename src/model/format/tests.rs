use std::io;

use proptest::prelude::*;

use super::*;
use crate::limits;

fn found(bytes: &[u8]) -> Detected {
    let mut content = bytes;
    detect(&mut content).unwrap()
}

/// A file of any length that is zeroes but for its beginning and end, and counts what is read.
struct Sparse {
    len: u64,
    head: Vec<u8>,
    tail: Vec<u8>,
    read: u64,
}

impl Content for Sparse {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.read += buf.len() as u64;
        let tail = self.len - self.tail.len() as u64;
        for (i, byte) in buf.iter_mut().enumerate() {
            let at = offset + i as u64;
            *byte = if at >= tail {
                self.tail[(at - tail) as usize]
            } else {
                self.head.get(at as usize).copied().unwrap_or_default()
            };
        }
        Ok(buf.len())
    }
}

fn safetensors_of(data: u64) -> Vec<u8> {
    let header = format!(r#"{{"w":{{"dtype":"U8","shape":[{data}],"data_offsets":[0,{data}]}}}}"#);
    [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat()
}

#[test]
fn reads_header_and_tail_of_a_large_safetensors() {
    let data = 10 << 30;
    let head = safetensors_of(data);
    let mut file = Sparse {
        len: data + head.len() as u64,
        head,
        tail: vec![],
        read: 0,
    };
    let found = detect(&mut file).unwrap();
    assert_eq!(found.ids(), ["safetensors"]);
    assert_eq!(found.formats[0].metadata["parameters"], data);
    assert!(!found.code_carrying() && !found.malformed());
    assert!(file.read < 512 << 10, "read {} bytes", file.read);
}

#[test]
fn a_zip_behind_ten_gibibytes_is_found() {
    let data = 10 << 30;
    // An archive with one stored member, which holds a pickle that calls.
    let pickle = b"cos\ngetcwd\n)R.";
    let mut zip = Vec::new();
    let local = |out: &mut Vec<u8>, magic: &[u8], middle: &[u8]| {
        out.extend_from_slice(magic);
        out.extend_from_slice(middle);
    };
    let sizes = [(pickle.len() as u32).to_le_bytes(); 2].concat();
    let common = [&[0u8; 12][..], &sizes, &[1, 0, 0, 0]].concat();
    local(&mut zip, b"PK\x03\x04\x0a\0", &common);
    zip.extend_from_slice(b"w");
    zip.extend_from_slice(pickle);
    let start = zip.len() as u32;
    local(&mut zip, b"PK\x01\x02\x0a\0\x0a\0", &common);
    zip.extend_from_slice(&[0; 14]);
    zip.extend_from_slice(b"w");
    let size = zip.len() as u32 - start;
    zip.extend_from_slice(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
    zip.extend_from_slice(&size.to_le_bytes());
    zip.extend_from_slice(&start.to_le_bytes());
    zip.extend_from_slice(&[0, 0]);

    let head = safetensors_of(data);
    let mut file = Sparse {
        len: data + head.len() as u64,
        head,
        tail: zip,
        read: 0,
    };
    let found = detect(&mut file).unwrap();
    assert_eq!(
        found.ids(),
        ["pickle", "pickle-in-zip", "safetensors", "zip"]
    );
    let pickle = found.find(Kind::Pickle).unwrap();
    assert_eq!(pickle.within.as_deref(), Some("w"));
    assert_eq!(pickle.code[0].detail, "os.getcwd");
    assert!(file.read < 1 << 20, "read {} bytes", file.read);
}

#[test]
fn a_reader_that_fails_or_shrinks_is_an_error() {
    struct Broken(io::ErrorKind);
    impl Content for Broken {
        fn len(&self) -> u64 {
            100
        }
        fn read_at(&mut self, _: u64, _: &mut [u8]) -> io::Result<usize> {
            match self.0 {
                io::ErrorKind::UnexpectedEof => Ok(0),
                kind => Err(kind.into()),
            }
        }
    }
    let error = detect(&mut Broken(io::ErrorKind::PermissionDenied)).unwrap_err();
    assert!(
        matches!(error, DetectError::Read { offset: 0, .. }),
        "{error}"
    );
    let error = detect(&mut Broken(io::ErrorKind::UnexpectedEof)).unwrap_err();
    assert!(matches!(
        error,
        DetectError::Shrunk {
            offset: 0,
            len: 100
        }
    ));
}

#[test]
fn a_long_list_of_imports_is_cut_and_says_so() {
    let mut pickle = b"\x80\x02".to_vec();
    for i in 0..1000 {
        pickle.extend_from_slice(format!("cm\nname{i}\n0").as_bytes());
    }
    pickle.extend_from_slice(b"N.");
    let found = found(&pickle);
    assert_eq!(found.formats[0].code.len(), limits::FORMAT_MARKS);
    assert_eq!(found.formats[0].metadata["imports_cut"], true);
}

#[test]
fn more_formats_than_are_listed_count_as_code() {
    let mut tar = Vec::new();
    for i in 0..limits::FORMAT_FACTS + 10 {
        let mut head = [0u8; 512];
        let name = format!("m{i}");
        head[..name.len()].copy_from_slice(name.as_bytes());
        head[124..136].copy_from_slice(b"00000000002\0");
        head[148..156].fill(b' ');
        let sum: u32 = head.iter().map(|b| u32::from(*b)).sum();
        head[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        tar.extend_from_slice(&head);
        let mut body = [0u8; 512];
        body[..2].copy_from_slice(b"{}");
        tar.extend_from_slice(&body);
    }
    let found = found(&tar);
    assert_eq!(found.formats.len(), limits::FORMAT_FACTS);
    assert!(found.code_carrying());
}

proptest! {
    #[test]
    fn arbitrary_bytes_have_an_answer(bytes: Vec<u8>) {
        let found = found(&bytes);
        prop_assert!(!found.formats.is_empty());
    }
}
