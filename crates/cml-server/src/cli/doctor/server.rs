//! A server.

use std::error::Error as _;

use axum::http::Uri;
use cml::{Config, Error, ErrorKind, Memory};

use super::{
    Findings, local,
    reach::{self, PATIENCE},
};

/// Asks the server what any verb would; where it does not answer, looks for the step that fails.
pub(super) async fn examine(config: &Config, findings: &mut Findings) {
    let Some(place) = Place::of(config) else {
        let remedy = "name it as http://HOST:PORT or https://HOST with --url or CML_BASE_URL";
        return findings.fail("address", "the server's address is no URL with a host".to_owned(), remedy);
    };
    findings.ok("address", place.to_string());
    dangers(config, &place, findings);

    let mut config = config.clone();
    config.http.max_retries = 0;
    config.http.timeout = config.http.timeout.min(PATIENCE);
    let memory = match Memory::connect(&config).await {
        Ok(memory) => memory,
        Err(error) => return place.search(&error, findings).await,
    };
    match memory.health().await {
        Err(error) => return place.search(&error, findings).await,
        Ok(health) => {
            findings.ok("answer", format!("the server is {}", health.status));
            version(&health.version, findings);
        }
    }
    local::components(&memory, findings).await;
    key(&config, &memory, findings).await;
    // Nothing is pending at a server that was only asked.
    let _closed = memory.close().await;
}

fn dangers(config: &Config, place: &Place, findings: &mut Findings) {
    let key = config.http.api_key.is_some() || config.http.admin_api_key.is_some();
    if key && !place.tls && !place.is_here() {
        let message = "the key and every text travel without encryption".to_owned();
        findings.warn("encryption", message, "put TLS in front of the server and use https");
    }
    if place.tls && !config.http.verify_ssl {
        let message = "the server's certificate is not checked".to_owned();
        findings.warn("encryption", message, "set http.verify_ssl to true");
    }
}

fn version(theirs: &str, findings: &mut Findings) {
    let ours = env!("CARGO_PKG_VERSION");
    let line = |version: &str| version.rsplit_once('.').map(|(line, _)| line.to_owned());
    if theirs.is_empty() {
        let remedy = "verbs that it lacks end with code 7; `cml serve` has them all";
        findings.warn("version", "the server says none: it is not ours, or an old one".to_owned(), remedy);
    } else if line(theirs) == line(ours) {
        findings.ok("version", format!("{theirs}, as this program's {ours}"));
    } else {
        let message = format!("the server has {theirs}, this program is {ours}");
        findings.warn("version", message, "bring both to the same version");
    }
}

/// Whether the key is known, may use the tenant, and is an admin's.
async fn key(config: &Config, memory: &Memory, findings: &mut Findings) {
    let tenant = &config.tenant;
    let given = config.http.api_key.is_some();
    match memory.stats().await {
        Ok(stats) => {
            findings.ok("key", "the server accepts it".to_owned());
            findings.ok("tenant", format!("{tenant}, with {} memories in the scope", stats.total_memories));
        }
        Err(error) if error.kind() == ErrorKind::Unauthenticated => {
            let message = if given { "the server does not know the key" } else { "no key is given" };
            return findings.fail("key", message.to_owned(), "give it with CML_API_KEY or --api-key");
        }
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            let message = format!("the key may not use the tenant {tenant}: {}", error.message());
            let remedy = "use that tenant's key or an admin key, or name the key's own tenant with --tenant";
            return findings.fail("tenant", message, remedy);
        }
        Err(error) => return findings.error("memories", &error, "look at the server's log"),
    }
    match memory.tenants().await {
        Ok(_) => findings.ok("admin", "the key may use administrative verbs".to_owned()),
        Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::Unauthenticated) => {
            let message = "the key may not use erase, export, import and tenants".to_owned();
            findings.ok("admin", message);
        }
        Err(error) => findings.warn("admin", error.message().to_owned(), "look at the server's log"),
    }
}

/// The HTTP status of the answer that led to `error`, if there was one.
fn status(error: &Error) -> Option<u16> {
    error.status().or_else(|| error.source()?.downcast_ref::<Error>()?.status())
}

/// Where the server is.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    host: String,
    port: u16,
    tls: bool,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

impl Place {
    fn of(config: &Config) -> Option<Self> {
        let address: Uri = config.http.base_url.parse().ok()?;
        let tls = address.scheme_str() == Some("https");
        let host = address.host()?.to_owned();
        Some(Self { host, port: address.port_u16().unwrap_or(if tls { 443 } else { 80 }), tls })
    }

    fn is_here(&self) -> bool {
        matches!(self.host.as_str(), "localhost" | "[::1]") || self.host.starts_with("127.")
    }

    /// The step at which reaching the server fails.
    async fn search(&self, error: &Error, findings: &mut Findings) {
        let status = status(error);
        if matches!(status, Some(429 | 502..=504)) {
            let message =
                format!("{self} answers, but the server behind it is away or busy: {}", error.message());
            return findings.fail("answer", message, "start that server or wait for it, and look at its log");
        }
        if status.is_some() || !matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout) {
            return findings.error("answer", error, "look at the server's log");
        }
        let remedy = "start the server with `cml serve`, correct --url or CML_BASE_URL, or open the firewall";
        if !reach::connect((&self.host, self.port), &self.to_string(), remedy, findings).await {
            return;
        }
        let remedy = if self.tls {
            "check the server's certificate and the root certificates of this machine, or whether it speaks http"
        } else {
            "check that it is a server of memories and speaks http, and look at its log"
        };
        findings.error(if self.tls { "encryption" } else { "answer" }, error, remedy);
    }
}

#[cfg(test)]
mod tests {
    use cml::config::SecretString;

    use super::*;

    #[test]
    fn either_key_over_clear_text_is_a_danger() {
        let warned = |url: &str, admin: Option<&str>, user: Option<&str>| {
            let mut config = Config::default();
            config.http.base_url = url.to_owned();
            config.http.admin_api_key = admin.map(SecretString::new);
            config.http.api_key = user.map(SecretString::new);
            let mut findings = Findings::default();
            let place = Place::of(&config);
            place.iter().for_each(|place| dangers(&config, place, &mut findings));
            findings.all().len()
        };
        assert_eq!(warned("http://memory.example", Some("key"), None), 1);
        assert_eq!(warned("http://memory.example", None, Some("key")), 1);
        assert_eq!(warned("http://memory.example", None, None), 0);
        assert_eq!(warned("http://localhost:8000", Some("key"), None), 0);
        assert_eq!(warned("https://memory.example", Some("key"), None), 0);
    }

    #[test]
    fn an_address_is_taken_apart() {
        let place = |url: &str| {
            let mut config = Config::default();
            config.http.base_url = url.to_owned();
            Place::of(&config).map(|place| (place.to_string(), place.is_here()))
        };
        let at = |text: &str, here| Some((text.to_owned(), here));
        assert_eq!(place("http://localhost:8000"), at("http://localhost:8000", true));
        assert_eq!(place("https://memory.example/base"), at("https://memory.example:443", false));
        assert_eq!(place("http://[::1]:9"), at("http://[::1]:9", true));
        assert_eq!(place("http://"), None);
    }
}
