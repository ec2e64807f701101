use reqwest::{NoProxy, Proxy};

use super::HttpFault;
use crate::environment::Environment;

/// What never goes by way of a proxy, whatever the environment says: a proxy
/// would be sent it elsewhere, and in clear where the address is `http://`.
const OWN: &str = "localhost,127.0.0.0/8,::1";

/// The proxy for `https://` addresses, as `HTTPS_PROXY` or `ALL_PROXY` names
/// it and `NO_PROXY` limits it. There is none for `http://`: such requests may
/// hold credentials, and are for this machine or its own link.
///
/// # Errors
/// `BadProxy`, naming the variable and not its value.
pub(super) fn proxy(environment: &Environment) -> Result<Option<Proxy>, HttpFault> {
    let set = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]
        .into_iter()
        .find_map(|name| Some((name, environment.get(name)?)));
    let Some((variable, address)) = set else {
        return Ok(None);
    };
    let proxy = Proxy::https(address).map_err(|_| HttpFault::BadProxy { variable })?;
    let without = environment
        .get("NO_PROXY")
        .or_else(|| environment.get("no_proxy"))
        .unwrap_or_default();
    let without = NoProxy::from_string(&format!("{OWN},{without}"));
    Ok(Some(proxy.no_proxy(without)))
}
