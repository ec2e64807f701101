//! What anybody may say in headers, made of what those who read them look at.

use proptest::prelude::*;

use crate::source::registry::{Challenge, Grant, challenges, next_pages, resolved};

fn words(parts: &'static [&'static str]) -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => proptest::sample::select(parts).prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    proptest::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

fn link() -> impl Strategy<Value = String> {
    words(&[
        "<",
        ">",
        "</a>",
        "; ",
        ";",
        "rel",
        "=",
        "next",
        "\"",
        "\\",
        ",",
        " ",
        "rel=next",
        "rel=\"next prev\"",
        "title",
        "\t",
        "\u{e4}",
    ])
}

fn challenge() -> impl Strategy<Value = String> {
    words(&[
        "Bearer ",
        "Basic ",
        "bearer",
        "realm",
        "service",
        "=",
        "\"",
        "\\",
        ",",
        " ",
        "a/b",
        "https://a/",
        "Negotiate",
        "\t",
        "realm=\"x\"",
        "\u{e4}",
    ])
}

fn location() -> impl Strategy<Value = String> {
    words(&[
        "http",
        "https",
        ":",
        "//",
        "/",
        "@",
        "a",
        "..",
        "?",
        "#",
        "localhost",
        ":443",
        "\\",
        "[::1]",
        "ftp",
        " ",
        "%2f",
        "\u{e4}",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn each_next_page_stands_there_and_one_more_is_one_more(header in link()) {
        if let Some(pages) = next_pages(&header) {
            for page in &pages {
                let there = format!("<{page}>");
                prop_assert!(header.contains(&there));
            }
            let more = format!("{header}, </more>; rel=next");
            let mut all = pages.clone();
            all.push("/more");
            prop_assert_eq!(next_pages(&more), Some(all));
        }
    }

    #[test]
    fn no_challenge_is_longer_than_what_was_said(header in challenge()) {
        for found in challenges(&header) {
            if let Challenge::Bearer { realm, service } = found {
                prop_assert!(realm.len() + service.unwrap_or_default().len() <= header.len());
            }
        }
    }

    #[test]
    fn nobody_is_sent_from_tls_to_none_or_with_a_password(to in location()) {
        for from in ["https://r.example/v2/a/", "http://localhost:5000/v2/a/"] {
            if let Some(to) = resolved(from, &to) {
                prop_assert!(to.scheme() == "https" || from.starts_with("http:"));
                prop_assert!(to.username().is_empty() && to.password().is_none());
                prop_assert!(to.has_host());
            }
        }
    }

    #[test]
    fn a_token_can_be_sent_along(token in any::<String>(), lasts in any::<u64>()) {
        let body = serde_json::json!({"token": token, "expires_in": lasts}).to_string();
        let fits = !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic());
        let grant = Grant::parse(body.as_bytes());
        prop_assert_eq!(grant.is_some(), fits);
        if let Some(grant) = grant {
            prop_assert!(grant.lasts.as_secs() <= 86_400);
            let expected = format!("Bearer {token}");
            prop_assert_eq!(grant.header.expose(), expected.as_bytes());
        }
    }
}
