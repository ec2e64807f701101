//! What a registry, or who gives tokens out for it, says in headers and small
//! answers: where to go on, how to get in, what is wrong.
#![no_main]

use libfuzzer_sys::fuzz_target;
use obreia::source::registry::{Challenge, Grant, Said, challenges, next_pages, resolved};

fuzz_target!(|data: &[u8]| {
    if let Some(grant) = Grant::parse(data) {
        let header = grant.header.expose();
        assert!(header.starts_with(b"Bearer ") && header.len() > 7);
        assert!(header[7..].iter().all(u8::is_ascii_graphic));
        assert!(grant.lasts.as_secs() <= 86_400);
    }
    let said = Said::of(data).to_string();
    assert!(said.len() < 2048 && !said.chars().any(char::is_control));
    let _known_or_not = Said::is_absence(data);
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    for challenge in challenges(text) {
        if let Challenge::Bearer { realm, service } = challenge {
            assert!(realm.len() + service.unwrap_or_default().len() <= text.len());
        }
    }
    if let Some(pages) = next_pages(text) {
        // Each stands there, in its brackets; and one more is one more.
        assert!(pages.iter().all(|page| text.contains(&format!("<{page}>"))));
        let more = format!("{text}, </more>; rel=next");
        let mut all = pages.clone();
        all.push("/more");
        assert_eq!(next_pages(&more), Some(all));
    }
    for from in ["https://r.example/v2/a/", "http://localhost:5000/v2/a/"] {
        if let Some(to) = resolved(from, text) {
            assert!(to.scheme() == "https" || from.starts_with("http:"));
            assert!(to.username().is_empty() && to.password().is_none() && to.has_host());
        }
    }
});
