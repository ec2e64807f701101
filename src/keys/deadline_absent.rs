//! Stands in where files are all that is read: nothing there makes one wait.

use std::time::Duration;

use super::registry::Adapter;
use super::{BoxFuture, KeyFault};

pub(super) async fn within<T>(
    _: Duration,
    _: &Adapter,
    work: BoxFuture<'_, Result<T, KeyFault>>,
) -> Result<T, KeyFault> {
    work.await
}
