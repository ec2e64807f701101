//! Blobs, both ways.

use super::*;

fn content(length: usize) -> (Vec<u8>, Descriptor) {
    let bytes: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
    let blob = Descriptor::of(media_type::OCTETS, &bytes);
    (bytes, blob)
}

#[test]
fn small_and_large_blobs_arrive_whole() {
    let fake = Fake::new(Kind::default());
    let repository = repository(&fake, "a");
    for length in [0, 1, 4 << 20, (4 << 20) + 1, 9 << 20] {
        let (bytes, blob) = content(length);
        assert!(!wait(repository.has_blob(&blob)).unwrap());
        let mut reader = &bytes[..];
        let source = Source::Reader(&mut reader);
        assert!(!wait(repository.put_blob(&blob, source, None)).unwrap());
        assert!(wait(repository.has_blob(&blob)).unwrap());
        assert_eq!(wait(repository.read_blob(&blob, 10 << 20)).unwrap(), bytes);
    }
    let (_, large) = content(9 << 20);
    let over = wait(repository.read_blob(&large, 100)).unwrap_err();
    assert_eq!(over.class(), Class::Limit);
}

#[test]
fn a_broken_upload_goes_on_where_it_broke() {
    let fake = Fake::new(Kind::default());
    let repository = repository(&fake, "a");
    let (bytes, blob) = content(9 << 20);
    // Before it arrived, after it arrived, and a server that was busy.
    fake.front.next("PATCH", Act::CutBefore);
    fake.front.next("PATCH", Act::CutAfter);
    fake.front
        .next("PATCH", Act::Answer(500, "", String::new()));
    wait(repository.put_blob(&blob, Source::Bytes(&bytes), None)).unwrap();
    assert!(fake.front.done());
    assert_eq!(wait(repository.read_blob(&blob, 10 << 20)).unwrap(), bytes);
    // The last answer was lost, and the blob was not.
    let (bytes, blob) = content(77);
    fake.front.next("PUT", Act::CutAfter);
    wait(repository.put_blob(&blob, Source::Bytes(&bytes), None)).unwrap();
    assert!(fake.has_blob(&blob.digest.to_string()));
    for _ in 0..9 {
        fake.front.next("PATCH", Act::CutBefore);
    }
    let (bytes, blob) = content(5 << 20);
    let fault = wait(repository.put_blob(&blob, Source::Bytes(&bytes), None));
    assert!(fault.is_err());
    assert!(!fake.has_blob(&blob.digest.to_string()));
}

#[test]
fn what_is_not_what_its_descriptor_says_is_never_stored() {
    let fake = Fake::new(Kind::default());
    let repository = repository(&fake, "a");
    let (bytes, blob) = content(100);
    let mut other = bytes.clone();
    other[50] ^= 1;
    for wrong in [&other[..], &bytes[..99], &[&bytes[..], b"x"].concat()] {
        let result = wait(repository.put_blob(&blob, Source::Bytes(wrong), None));
        assert!(result.is_err());
        assert!(!fake.has_blob(&blob.digest.to_string()));
    }
}

#[test]
fn a_broken_download_goes_on_where_it_broke() {
    for ranges in [true, false] {
        let fake = Fake::new(Kind {
            ranges,
            ..Kind::default()
        });
        let repository = repository(&fake, "a");
        let (bytes, blob) = content(300_000);
        wait(repository.put_blob(&blob, Source::Bytes(&bytes), None)).unwrap();
        for at in [1000, 100_000] {
            fake.front.next("GET /v2/a/blobs/sha256", Act::CutMid(at));
        }
        let found = wait(repository.read_blob(&blob, 1 << 20)).unwrap();
        assert!(found == bytes && fake.front.done());
        for _ in 0..12 {
            fake.front.next("GET /v2/a/blobs/sha256", Act::CutMid(0));
        }
        let fault = wait(repository.read_blob(&blob, 1 << 20)).unwrap_err();
        assert_eq!(fault.class(), Class::Unreachable, "{fault}");
    }
}

#[test]
fn a_blob_that_comes_drop_by_drop_is_given_up() {
    use std::time::Duration;

    let fake = Fake::new(Kind::default());
    let repository = repository(&fake, "a");
    let (bytes, blob) = content(3000);
    wait(repository.put_blob(&blob, Source::Bytes(&bytes), None)).unwrap();
    fake.front.next("GET", Act::Drip(Duration::from_millis(5)));
    let fault = wait(async {
        let mut download = repository.blob_later(&blob);
        download.pace.grace = Duration::from_millis(40);
        download.pace.least = 1 << 30;
        loop {
            match download.next().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("it came whole"),
                Err(fault) => {
                    // And it stays so: this is no end of the blob.
                    assert_eq!(download.next().await.as_ref(), Err(&fault));
                    break fault;
                }
            }
        }
    });
    assert_eq!(fault.class(), Class::Unreachable, "{fault}");
    assert!(fault.to_string().contains("too slowly"), "{fault}");
}

#[test]
fn a_download_that_breaks_after_each_byte_does_not_go_on_for_ever() {
    let fake = Fake::new(Kind::default());
    let repository = repository(&fake, "a");
    let (bytes, blob) = content(3000);
    wait(repository.put_blob(&blob, Source::Bytes(&bytes), None)).unwrap();
    for _ in 0..50 {
        fake.front.next("GET", Act::CutMid(1));
    }
    fake.front.seen();
    let fault = wait(repository.read_blob(&blob, 1 << 20)).unwrap_err();
    assert_eq!(fault.class(), Class::Unreachable, "{fault}");
    let asked = fake.front.seen().len();
    assert!(asked <= 6, "{asked}");
}

#[test]
fn bodies_that_are_still_to_be_read_are_counted() {
    let fake = Fake::new(Kind::default());
    let repository = repository(&fake, "a");
    let blobs: Vec<_> = (0..30_u8)
        .map(|seed| {
            let bytes = vec![seed; 100_000];
            let blob = Descriptor::of(media_type::OCTETS, &bytes);
            wait(repository.put_blob(&blob, Source::Bytes(&bytes), None)).unwrap();
            blob
        })
        .collect();
    let free = || repository.host.bodies.available_permits();
    let most = free();
    wait(async {
        let mut open = Vec::new();
        for blob in &blobs[..most] {
            open.push(repository.open_blob(blob).await.unwrap());
        }
        assert_eq!(free(), 0);
        open.pop();
        assert_eq!(free(), 1);
    });
    // And all that wait get their turn.
    let read = wait(repository.blobs(&blobs, 1 << 20));
    assert!(read.iter().all(Result::is_ok));
    assert_eq!(free(), most);
}

#[test]
fn a_blob_that_is_longer_shorter_or_other_is_refused() {
    let fake = Fake::new(Kind::default());
    let repository = repository(&fake, "a");
    let (bytes, blob) = content(1000);
    wait(repository.put_blob(&blob, Source::Bytes(&bytes), None)).unwrap();
    type Change = fn(&[u8]) -> Vec<u8>;
    let changes: [Change; 4] = [
        |b| [b, b"x"].concat(),
        |b| b[1..].to_vec(),
        |b| [&b[1..], b"x"].concat(),
        |_| Vec::new(),
    ];
    for change in changes {
        fake.front
            .next("GET /v2/a/blobs/sha256", Act::Change(change));
        let fault = wait(repository.read_blob(&blob, 1 << 20)).unwrap_err();
        assert_eq!(fault.class(), Class::Malformed, "{fault}");
        // A proxy may have put that in the blob's place.
        assert!(!fault.is_of_content(), "{fault}");
    }
    let mut larger = blob.clone();
    larger.size += 1;
    let fault = wait(repository.read_blob(&larger, 1 << 20)).unwrap_err();
    assert!(fault.is_of_content(), "{fault}");
    fake.front.next("GET /v2/a/blobs/sha256", Act::Endless);
    let fault = wait(repository.read_blob(&blob, 1 << 20)).unwrap_err();
    assert_eq!(fault.class(), Class::Malformed, "{fault}");
    let mut longer = blob.clone();
    longer.size += 1;
    assert!(wait(repository.has_blob(&longer)).is_err());
}

#[test]
fn a_blob_of_a_repository_beside_is_mounted_where_that_is_done() {
    for mounts in [true, false] {
        let fake = Fake::new(Kind {
            mounts,
            ..Kind::default()
        });
        let access = Access::default();
        let registries = Registries::new(access);
        let [a, b] = ["a", "b"].map(|name| registries.repository(fake.host(), name).unwrap());
        let (bytes, blob) = content(5000);
        wait(a.put_blob(&blob, Source::Bytes(&bytes), None)).unwrap();
        let source = wait(a.open_blob(&blob)).unwrap();
        let mounted = wait(b.put_blob(&blob, Source::Download(Box::new(source)), Some(&a)));
        assert_eq!(mounted.unwrap(), mounts);
        assert_eq!(wait(b.read_blob(&blob, 1 << 20)).unwrap(), bytes);
    }
}
