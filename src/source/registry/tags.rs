//! The tags of a repository, page by page.

use serde::Deserialize;

use super::address::{resolved, same_origin};
use super::host::{Answer, Ask};
use super::{RegistryFault, Repository};
use crate::limits;

/// Pages of one list that are read.
const PAGES: usize = 200;

#[derive(Deserialize)]
struct Page {
    tags: Option<Vec<String>>,
}

impl Repository {
    /// Every tag, in the registry's order.
    ///
    /// # Errors
    /// As the registry says; `Malformed` where the list comes back to a page
    /// that it had, `TooMuch` over [`limits::INDEX_ENTRIES`].
    pub async fn tags(&self) -> Result<Vec<String>, RegistryFault> {
        let mut pages = Pages::new(self, self.path("tags/list?n=1000"));
        let mut found = Vec::new();
        while let Some((asked, body)) = pages.next().await? {
            let page: Page =
                serde_json::from_slice(&body).map_err(|e| RegistryFault::Malformed {
                    asked,
                    why: format!("it is no list of tags: {e}"),
                })?;
            found.extend(page.tags.unwrap_or_default());
            if found.len() > limits::INDEX_ENTRIES {
                return Err(RegistryFault::TooMuch {
                    place: self.to_string(),
                    what: "tags",
                    limit: limits::INDEX_ENTRIES as u64,
                });
            }
        }
        Ok(found)
    }
}

/// A list that comes in pages, each of which leads to the next by `Link`.
pub(super) struct Pages<'a> {
    repository: &'a Repository,
    /// The next, as a path or an address.
    next: Option<String>,
    seen: Vec<String>,
    /// Whether the page that was asked for last was answered with 404.
    pub(super) missing: bool,
}

impl<'a> Pages<'a> {
    pub(super) fn new(repository: &'a Repository, first: String) -> Self {
        Self {
            repository,
            next: Some(first),
            seen: Vec::new(),
            missing: false,
        }
    }

    /// The next page's body, with what was asked; `None` behind the last.
    pub(super) async fn next(&mut self) -> Result<Option<(super::Asked, Vec<u8>)>, RegistryFault> {
        let Some(url) = self.next.take() else {
            return Ok(None);
        };
        let scope = self.repository.pull();
        let answer = self
            .repository
            .host
            .ask(Ask::get(&url, &scope, limits::MANIFEST))
            .await?;
        self.missing = answer.status() == 404;
        if answer.status() != 200 {
            return Err(answer.fault());
        }
        self.seen.push(url);
        self.next = self.following(&answer)?;
        let asked = answer.asked.clone();
        Ok(Some((asked, answer.into_body())))
    }

    fn following(&self, answer: &Answer) -> Result<Option<String>, RegistryFault> {
        let wrong = |why: &str| RegistryFault::Malformed {
            asked: answer.asked.clone(),
            why: why.to_owned(),
        };
        // What cannot be read may be the way to the rest of the list.
        let links = answer.all("link").and_then(|headers| {
            let each = headers.into_iter().map(next_of);
            each.collect::<Option<Vec<_>>>()
        });
        let links = links.ok_or_else(|| wrong("its Link cannot be read"))?;
        let mut links = links.into_iter().flatten();
        let Some(next) = links.next() else {
            return Ok(None);
        };
        if links.any(|other| other != next) {
            return Err(wrong("it has more than one next page"));
        }
        let base = &self.repository.host.base;
        let url = resolved(&answer.url, next)
            .filter(|url| same_origin(base, url))
            .ok_or_else(|| wrong("its next page is somewhere else"))?;
        let url: String = url.into();
        let again = |seen: &String| *seen == url || format!("{base}{seen}") == url;
        if self.seen.iter().any(again) || self.seen.len() >= PAGES {
            return Err(wrong("its pages do not end"));
        }
        Ok(Some(url))
    }
}

/// The targets in one `Link` that are called `next` (RFC 8288); `None` where it
/// cannot be read.
fn next_of(header: &str) -> Option<Vec<&str>> {
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
            let found = next_of(header).unwrap();
            assert_eq!(found.first().copied(), next, "{header}");
        }
        for unreadable in [
            "nonsense",
            "</a",
            "</a>; rel=\"next",
            "</a> rel=next",
            "</a>; rel=\"next\" x",
        ] {
            assert_eq!(next_of(unreadable), None, "{unreadable}");
        }
        assert_eq!(
            next_of("</a>; rel=next, </b>; rel=next"),
            Some(vec!["/a", "/b"])
        );
    }
}
