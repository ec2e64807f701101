//! The tags of a repository, page by page.

use serde::Deserialize;

use super::address::{resolved, same_origin};
use super::host::{Answer, Ask};
use super::link::next_pages;
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
            let each = headers.into_iter().map(next_pages);
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
