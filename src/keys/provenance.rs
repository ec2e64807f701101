//! The provider's own id of a request, on its way from the adapter to the
//! record of the outcome.
//!
//! It is a slot of the operation and not a part of what the operation gives: a
//! request that was refused, or that came back too late, has an id as well,
//! and that is the one that somebody will look for.

use std::cell::RefCell;

/// Longest id that is kept, in characters; those of the services are UUIDs.
const LONGEST: usize = 64;

tokio::task_local! {
    static NOTED: RefCell<Option<String>>;
}

/// Does `work`, and tells the id that was noted last meanwhile.
pub(super) async fn of<T>(work: impl Future<Output = T>) -> (T, Option<String>) {
    let work = async {
        let done = work.await;
        (done, NOTED.with(RefCell::take))
    };
    NOTED.scope(RefCell::default(), work).await
}

/// Takes note of the id that the provider gave a request: `None` where it gave
/// none, and then an earlier one no longer holds. To be called in the task
/// that does the work.
///
/// What has other characters than those of a UUID is no id: a server that
/// repeats what it was sent must not get a credential into the log.
pub(super) fn note(id: Option<&str>) {
    let id = id.filter(|id| {
        (8..=LONGEST).contains(&id.len())
            && id
                .bytes()
                .all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
    });
    // Outside of an operation nobody wants to know.
    let _nobody_asks = NOTED.try_with(|noted| noted.replace(id.map(ToOwned::to_owned)));
}

#[cfg(test)]
mod tests {
    use super::super::contract::run;
    use super::*;

    const ID: &str = "0d1f2e3a-0000-4000-8000-0123456789ab";

    #[test]
    fn the_last_id_of_the_operation_is_told_and_no_other_operations() {
        run(async {
            note(Some(ID));
            let (done, id) = of(async { 7 }).await;
            assert_eq!((done, id), (7, None));
            let (_, id) = of(async {
                note(Some("aaaaaaaa"));
                let (_, inner) = of(async { note(Some("bbbbbbbb")) }).await;
                assert_eq!(inner.as_deref(), Some("bbbbbbbb"));
                note(Some(ID));
            })
            .await;
            assert_eq!(id.as_deref(), Some(ID));
            let (_, id) = of(async {
                note(Some(ID));
                note(None);
            })
            .await;
            assert_eq!(id, None);
        });
    }

    #[test]
    fn what_was_cut_short_keeps_its_id() {
        run(async {
            let limit = std::time::Duration::from_millis(1);
            let work = async {
                note(Some(ID));
                std::future::pending::<()>().await;
            };
            let (late, id) = of(tokio::time::timeout(limit, work)).await;
            assert!(late.is_err());
            assert_eq!(id.as_deref(), Some(ID));
        });
    }

    #[test]
    fn what_may_be_a_credential_is_no_id() {
        run(async {
            for bad in [
                "",
                "abc",
                "hvs.CAESIJ",
                "root-token-of-the-tests",
                "0d1f2e3a 0000",
                "0d1f2e3a\n0000",
                &"a".repeat(LONGEST + 1),
            ] {
                let (_, id) = of(async { note(Some(bad)) }).await;
                assert_eq!(id, None, "{bad:?}");
            }
        });
    }
}
