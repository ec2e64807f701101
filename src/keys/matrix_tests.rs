//! Which provider offers what: printed, and held against `docs/providers.md`.
//!
//! `OBREIA_WRITE_DOCS=1` writes the table there instead.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::registry::{self, Adapter};
use super::{Capabilities, Settings};
use crate::time::{Clock, Timestamp};

const HEAD: &str = "| provider | schemes | sign, verify | describe | create | import | rotate | enable, disable | retire |";
const RULE: &str = "| --- | --- | --- | --- | --- | --- | --- | --- | --- |";
/// Behind Cargo features of their own: their rows stand, also where this
/// build has no such adapter to ask.
const FEATURES: [&str; 3] = ["aws", "azure", "gcp"];

fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/providers.md")
}

fn row(adapter: &Adapter) -> String {
    let Capabilities {
        describe,
        generate,
        import,
        rotate,
        lifecycle,
        retire,
    } = adapter.capabilities();
    let offers = [
        true,
        describe.is_some(),
        generate.is_some(),
        import.is_some(),
        rotate.is_some(),
        lifecycle.is_some(),
        retire.is_some(),
    ];
    let cells: Vec<&str> = offers.map(|o| if o { "yes" } else { "–" }).to_vec();
    let schemes: Vec<String> = adapter
        .schemes()
        .iter()
        .map(|scheme| format!("`{scheme}`"))
        .collect();
    format!(
        "| {} | {} | {} |",
        adapter.name(),
        schemes.join(", "),
        cells.join(" | ")
    )
}

/// Name and row of every adapter of this build.
fn rows() -> Vec<(&'static str, String)> {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        state: Some(folder.path().to_owned()),
        helper: Some(folder.path().join("helper")),
        ..Settings::default()
    };
    let clock: Arc<dyn Clock> = Arc::new(Timestamp::from_secs(0));
    let registered = registry::open(&settings, &clock);
    let mut rows: Vec<_> = registered
        .adapters
        .iter()
        .map(|adapter| (adapter.name(), row(adapter.as_ref())))
        .collect();
    rows.sort();
    rows
}

fn in_page(text: &str) -> Vec<(String, String)> {
    let after = text.lines().skip_while(|line| *line != HEAD).skip(2);
    after
        .take_while(|line| line.starts_with("| "))
        .map(|line| {
            let name = line.split('|').nth(1).unwrap_or_default().trim();
            (name.to_owned(), line.to_owned())
        })
        .collect()
}

#[test]
fn the_page_says_what_each_provider_offers() {
    let rows = rows();
    println!("{HEAD}\n{RULE}");
    for (_, row) in &rows {
        println!("{row}");
    }
    let text = std::fs::read_to_string(page()).unwrap();
    let before = in_page(&text);
    let mut expected: Vec<(String, String)> = rows
        .iter()
        .map(|(name, row)| ((*name).to_owned(), row.clone()))
        .collect();
    let not_here = before.iter().filter(|(name, _)| {
        FEATURES.contains(&name.as_str()) && !rows.iter().any(|(here, _)| here == name)
    });
    expected.extend(not_here.cloned());
    expected.sort();
    if std::env::var_os("OBREIA_WRITE_DOCS").is_some() {
        let table = |rows: &[(String, String)]| {
            let lines: Vec<&str> = rows.iter().map(|(_, row)| row.as_str()).collect();
            format!("{HEAD}\n{RULE}\n{}", lines.join("\n"))
        };
        let written = text.replace(table(&before).trim_end(), table(&expected).trim_end());
        std::fs::write(page(), written).unwrap();
        return;
    }
    assert_eq!(
        before, expected,
        "write the table anew with OBREIA_WRITE_DOCS=1"
    );
}

/// Two adapters with one name would be one in records, and with one scheme
/// the first would take the other's keys.
#[test]
fn names_and_schemes_are_each_adapters_own() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        state: Some(folder.path().to_owned()),
        ..Settings::default()
    };
    let clock: Arc<dyn Clock> = Arc::new(Timestamp::from_secs(0));
    let registered = registry::open(&settings, &clock);
    let (mut names, mut schemes) = (Vec::new(), Vec::new());
    for adapter in &registered.adapters {
        names.push(adapter.name());
        schemes.extend(adapter.schemes());
    }
    for list in [&mut names, &mut schemes] {
        let all = list.len();
        list.sort_unstable();
        list.dedup();
        assert_eq!(list.len(), all, "{list:?}");
    }
}
