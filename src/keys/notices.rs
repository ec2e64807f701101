use std::sync::Arc;

type Show = dyn Fn(&str) + Send + Sync;

/// Takes what a provider wants a person to read while it works, such as a
/// plugin's "touch the token now". By default nobody reads it.
#[derive(Clone, Default)]
pub struct Notices(Option<Arc<Show>>);

impl Notices {
    /// Each line goes to `show`, without control characters and bounded.
    pub fn to(show: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(show)))
    }

    /// Shows one line.
    pub fn say(&self, line: &str) {
        if let Some(show) = &self.0 {
            show(line);
        }
    }
}

impl std::fmt::Debug for Notices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Notices({})", self.0.is_some())
    }
}
