/// The targets in one `Link` that are called `next` (RFC 8288), as they stand
/// there; `None` where it cannot be read.
pub fn next_pages(header: &str) -> Option<Vec<&str>> {
    let mut found = Vec::new();
    let mut rest = header.trim_start_matches([' ', '\t', ',']);
    while !rest.is_empty() {
        let (url, after) = rest.strip_prefix('<')?.split_once('>')?;
        let (relations, after) = parameters(after)?;
        let is_next = |word: &str| word.eq_ignore_ascii_case("next");
        if relations.is_some_and(|relations| relations.split_whitespace().any(is_next)) {
            found.push(url);
        }
        rest = after.trim_start_matches([' ', '\t', ',']);
    }
    Some(found)
}

/// The value of the first `rel` in `; name=value; …`, and what follows behind
/// the comma that ends it.
fn parameters(text: &str) -> Option<(Option<&str>, &str)> {
    const BLANK: [char; 2] = [' ', '\t'];
    let (mut relations, mut rest) = (None, text.trim_start_matches(BLANK));
    while let Some(parameter) = rest.strip_prefix(';') {
        let parameter = parameter.trim_start_matches(BLANK);
        let end = parameter.find([';', ',', '=']).unwrap_or(parameter.len());
        let (name, after) = parameter.split_at(end);
        let mut value = "";
        rest = after;
        if let Some(after) = after.strip_prefix('=') {
            let after = after.trim_start_matches(BLANK);
            (value, rest) = match after.strip_prefix('"') {
                Some(quoted) => {
                    let end = end_of_quoted(quoted)?;
                    (&quoted[..end], &quoted[end + 1..])
                }
                None => after.split_at(after.find([';', ',']).unwrap_or(after.len())),
            };
            rest = rest.trim_start_matches(BLANK);
        }
        if name.trim().eq_ignore_ascii_case("rel") && relations.is_none() {
            relations = Some(value);
        }
    }
    (rest.is_empty() || rest.starts_with(',')).then_some((relations, rest))
}

/// Where the quotation mark is that ends a quoted value.
fn end_of_quoted(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page() {
        for (header, next) in [
            (
                "</v2/x/tags/list?n=1&last=a>; rel=\"next\"",
                Some("/v2/x/tags/list?n=1&last=a"),
            ),
            ("</a>; rel=prev, </b>; title=x; rel=next", Some("/b")),
            ("</a>; rel=prev,</b>; rel=next", Some("/b")),
            ("</a>;rel=next;title=\"x, <y>; rel=prev\"", Some("/a")),
            ("</a>; rel = next", Some("/a")),
            ("</a>; rel=\"last next\"", Some("/a")),
            ("</a>; crossorigin; rel=NEXT", Some("/a")),
            ("</a>; title=\"\\\"; rel=x\"; rel=next", Some("/a")),
            // Only the first counts.
            ("</a>; rel=prev; rel=next", None),
            ("</a>; rel=\"prev\"", None),
            ("</a>", None),
            ("", None),
        ] {
            let found = next_pages(header).unwrap();
            assert_eq!(found.first().copied(), next, "{header}");
        }
        for unreadable in [
            "nonsense",
            "</a",
            "</a>; rel=\"next",
            "</a> rel=next",
            "</a>; rel=\"next\" x",
        ] {
            assert_eq!(next_pages(unreadable), None, "{unreadable}");
        }
        assert_eq!(
            next_pages("</a>; rel=next, </b>; rel=next"),
            Some(vec!["/a", "/b"])
        );
    }
}
