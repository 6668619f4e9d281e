//! One call of the protocol, before it becomes a request.

use bytes::Bytes;
use cml_core::{Error, ErrorKind, Result, Scope, wire};
use reqwest::{Method, Url};
use serde::Serialize;

use crate::retry::Repeat;

/// Method, path, query, body, and how the call may be treated.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    /// The path with its placeholder: what the log shows.
    pub(crate) route: &'static str,
    id: Option<String>,
    query: Vec<(String, String)>,
    pub(crate) body: Option<Bytes>,
    pub(crate) tenant: Option<String>,
    pub(crate) admin: bool,
    pub(crate) eval_mode: bool,
    /// Whether the answer may come from another tenant than the one asked for.
    pub(crate) any_tenant: bool,
    /// Whether the answer may take any time, as long as the connection lives.
    pub(crate) unhurried: bool,
    pub(crate) repeat: Repeat,
}

impl Call {
    fn new(method: Method, route: &'static str, repeat: Repeat) -> Self {
        Self {
            method,
            route,
            id: None,
            query: Vec::new(),
            body: None,
            tenant: None,
            admin: false,
            eval_mode: false,
            any_tenant: false,
            unhurried: false,
            repeat,
        }
    }

    /// A `GET`.
    pub(crate) fn get(route: &'static str) -> Self {
        Self::new(Method::GET, route, Repeat::Same)
    }

    /// A `DELETE`.
    pub(crate) fn delete(route: &'static str, repeat: Repeat) -> Self {
        Self::new(Method::DELETE, route, repeat)
    }

    /// A `POST` whose body is added later.
    pub(crate) fn upload(route: &'static str) -> Self {
        Self::new(Method::POST, route, Repeat::Once)
    }

    /// A `POST` of `body` as JSON.
    pub(crate) fn post(route: &'static str, body: &impl Serialize, repeat: Repeat) -> Result<Self> {
        Ok(Self::post_json(route, json(body)?, repeat))
    }

    /// A `POST` of what [`json`] made.
    pub(crate) fn post_json(route: &'static str, json: Bytes, repeat: Repeat) -> Self {
        Self { body: Some(json), ..Self::new(Method::POST, route, repeat) }
    }

    /// Acts in the tenant of `scope`.
    pub(crate) fn of(mut self, scope: &Scope) -> Self {
        self.tenant = Some(scope.tenant().to_owned());
        self
    }

    /// Fills the placeholder of the path.
    pub(crate) fn id(mut self, id: &(impl ToString + ?Sized)) -> Self {
        self.id = Some(id.to_string());
        self
    }

    /// Sets the query to the fields of `query`.
    pub(crate) fn query(mut self, query: &impl Serialize) -> Self {
        self.query = wire::query_pairs(query);
        self
    }

    /// Uses the admin key, if there is one.
    pub(crate) fn admin(mut self) -> Self {
        self.admin = true;
        self
    }

    /// Asks for the gate's decision, if `asked`.
    pub(crate) fn eval_mode(mut self, asked: bool) -> Self {
        self.eval_mode = asked;
        self
    }

    /// Reads from the original.
    pub(crate) fn of_original(mut self) -> Self {
        self.repeat = Repeat::OriginalRead;
        self
    }

    /// Is not sent again.
    pub(crate) fn once(mut self) -> Self {
        self.repeat = Repeat::Once;
        self
    }

    /// Takes an answer from whatever tenant it comes.
    pub(crate) fn any_tenant(mut self) -> Self {
        self.any_tenant = true;
        self
    }

    /// Waits for the answer as long as the connection lives.
    pub(crate) fn unhurried(mut self) -> Self {
        self.unhurried = true;
        self
    }

    /// Whether the original server wants the header against cross-site requests.
    pub(crate) fn changes_dashboard(&self) -> bool {
        self.method != Method::GET && self.route.starts_with("/dashboard")
    }

    /// The address below `base`.
    pub(crate) fn url(&self, base: &Url) -> Result<Url> {
        let mut path = format!("{}{}", base.path().trim_end_matches('/'), wire::API);
        match (&self.id, self.route.split_once("{id}")) {
            (Some(id), Some((before, after))) => {
                path.push_str(before);
                push_encoded(&mut path, id)?;
                path.push_str(after);
            }
            _ => path.push_str(self.route),
        }
        let mut url = base.clone();
        url.set_path(&path);
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        Ok(url)
    }
}

/// `body` as JSON.
pub(crate) fn json(body: &impl Serialize) -> Result<Bytes> {
    serde_json::to_vec(body).map(Bytes::from).map_err(|error| {
        Error::new(ErrorKind::Internal, "a request cannot be written as JSON").with_source(error)
    })
}

/// Appends `segment`, percent-encoded but for the unreserved characters of RFC 3986, section 2.3.
fn push_encoded(path: &mut String, segment: &str) -> Result<()> {
    if matches!(segment, "" | "." | "..") {
        return Err(Error::invalid("id", "cannot be part of a path"));
    }
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    type TestResult = std::result::Result<(), Box<dyn std::error::Error>>;

    #[test]
    fn an_id_stays_one_segment_of_the_path() -> TestResult {
        let base: Url = "https://example.org/cml/".parse()?;
        let call = Call::get(wire::path::MESSAGES).id("a/b?c#é %2e").query(&serde_json::json!({"after": 3}));
        assert_eq!(
            call.url(&base)?.as_str(),
            "https://example.org/cml/api/v1/sessions/a%2Fb%3Fc%23%C3%A9%20%252e/messages?after=3"
        );
        for unusable in ["", ".", ".."] {
            assert!(Call::get(wire::path::MESSAGES).id(unusable).url(&base).is_err());
        }
        Ok(())
    }

    #[test]
    fn only_changes_below_the_dashboard_carry_its_header() -> TestResult {
        assert!(Call::post(wire::path::CONSOLIDATE, &1, Repeat::Once)?.changes_dashboard());
        assert!(!Call::get(wire::path::TENANTS).changes_dashboard());
        assert!(!Call::post(wire::path::WRITE, &1, Repeat::Once)?.changes_dashboard());
        Ok(())
    }
}
