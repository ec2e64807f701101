use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// `[keys.k8s]`: how the API server of a cluster is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct K8s {
    /// The kubeconfig; without it `KUBECONFIG`, `~/.kube/config`, and inside a
    /// pod its service account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubeconfig: Option<PathBuf>,
    /// The context in it; without it the current one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// Folder of the pod's service account, where it is mounted elsewhere than
    /// `/var/run/secrets/kubernetes.io/serviceaccount`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account: Option<PathBuf>,
}

impl K8s {
    /// The same, with relative files taken from `base`.
    #[must_use]
    pub fn placed_in(mut self, base: &Path) -> Self {
        for path in [&mut self.kubeconfig, &mut self.service_account]
            .into_iter()
            .flatten()
        {
            *path = base.join(&path);
        }
        self
    }
}
