//! What an adapter learns on the way and its caller must know however it ends:
//! the provider's own id of the request, and that a change was made.
//!
//! These are slots of the operation and no part of what the operation gives: a
//! request that was refused, or that came back too late, has an id as well,
//! and that is the one that somebody will look for; and a change that was made
//! stays made, also where the time is over before it could be looked at.

use std::cell::RefCell;

/// Longest id that is kept, in characters; those of the services are UUIDs.
const LONGEST: usize = 64;

/// What was noted of one operation.
#[derive(Debug, Default)]
pub(super) struct Noted {
    /// The id of the last request.
    pub(super) request: Option<String>,
    /// Whether the provider said that the change was made.
    pub(super) acknowledged: bool,
}

tokio::task_local! {
    static NOTED: RefCell<Noted>;
}

/// Does `work`, and tells what was noted meanwhile.
pub(super) async fn of<T>(work: impl Future<Output = T>) -> (T, Noted) {
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
    let id = id.map(ToOwned::to_owned);
    let _nobody_asks = NOTED.try_with(|noted| noted.borrow_mut().request = id);
}

/// Takes note that the provider said that the change was made: whatever goes
/// wrong from then on, nobody needs to make it again. `false` takes that back,
/// where it shows that it was not made after all. As [`note`], to be called in
/// the task that does the work.
pub(super) fn acknowledged(made: bool) {
    let _nobody_asks = NOTED.try_with(|noted| noted.borrow_mut().acknowledged = made);
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
            acknowledged(true);
            let (done, noted) = of(async { 7 }).await;
            assert_eq!((done, noted.request), (7, None));
            assert!(!noted.acknowledged);
            let (_, noted) = of(async {
                note(Some("aaaaaaaa"));
                let (_, inner) = of(async {
                    note(Some("bbbbbbbb"));
                    acknowledged(true);
                })
                .await;
                assert_eq!(inner.request.as_deref(), Some("bbbbbbbb"));
                assert!(inner.acknowledged);
                note(Some(ID));
            })
            .await;
            assert_eq!(noted.request.as_deref(), Some(ID));
            assert!(!noted.acknowledged);
            let (_, noted) = of(async {
                note(Some(ID));
                acknowledged(true);
                note(None);
                acknowledged(false);
            })
            .await;
            assert_eq!(noted.request, None);
            assert!(!noted.acknowledged);
        });
    }

    #[test]
    fn what_was_cut_short_keeps_its_notes() {
        run(async {
            let limit = std::time::Duration::from_millis(1);
            let work = async {
                note(Some(ID));
                acknowledged(true);
                std::future::pending::<()>().await;
            };
            let (late, noted) = of(tokio::time::timeout(limit, work)).await;
            assert!(late.is_err() && noted.acknowledged);
            assert_eq!(noted.request.as_deref(), Some(ID));
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
                let (_, noted) = of(async { note(Some(bad)) }).await;
                assert_eq!(noted.request, None, "{bad:?}");
            }
        });
    }
}
