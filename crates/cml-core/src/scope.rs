//! Where a call acts: tenant, namespace, user, agent, session.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Longest id given by a caller, in characters.
pub const MAX_ID_CHARS: usize = 100;
/// Longest `key` of a memory, in characters.
pub const MAX_KEY_CHARS: usize = 200;
/// Tenant of a scope that names none.
pub const DEFAULT_TENANT: &str = "default";
/// Namespace of a write that names none.
pub const DEFAULT_NAMESPACE: &str = "default";

/// Checks an id given by a caller: 1..=`max` characters, no control characters.
///
/// # Errors
/// `InvalidInput` naming `field`.
pub fn check_id(field: &str, id: &str, max: usize) -> Result<()> {
    let chars = id.chars().count();
    if chars == 0 || chars > max {
        Err(Error::invalid(field, format!("must have 1 to {max} characters")))
    } else if id.chars().any(char::is_control) {
        Err(Error::invalid(field, "must not contain control characters"))
    } else {
        Ok(())
    }
}

/// The part of the world that a call may see and change.
///
/// The tenant is a hard boundary and always present. The other parts are optional: an absent part
/// is an empty string. A *namespace* limits reads and writes to a named part of the tenant, a *user*
/// to that data subject's rows and the rows without a user, a *session* to one conversation; the
/// *agent* is stamped on writes and limits nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Scope {
    #[serde(rename = "tenant_id")]
    tenant: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    namespace: String,
    #[serde(default, rename = "user_id", skip_serializing_if = "String::is_empty")]
    user: String,
    #[serde(default, rename = "agent_id", skip_serializing_if = "String::is_empty")]
    agent: String,
    #[serde(default, rename = "session_id", skip_serializing_if = "String::is_empty")]
    session: String,
}

macro_rules! part {
    ($part:ident, $with:ident, $field:literal, $what:literal) => {
        #[doc = concat!("The ", $what, ", or an empty string.")]
        #[must_use]
        pub fn $part(&self) -> &str {
            &self.$part
        }

        #[doc = concat!("The same scope with another ", $what, ".")]
        ///
        /// # Errors
        #[doc = concat!("`InvalidInput` naming `", $field, "` unless it has 1 to 100 characters and no control characters.")]
        pub fn $with(mut self, id: impl Into<String>) -> Result<Self> {
            let id = id.into();
            check_id($field, &id, MAX_ID_CHARS)?;
            self.$part = id;
            Ok(self)
        }
    };
}

impl Scope {
    /// A whole tenant.
    ///
    /// # Errors
    /// `InvalidInput` unless `tenant` has 1 to 100 characters and no control characters.
    pub fn new(tenant: impl Into<String>) -> Result<Self> {
        Self::default().with_tenant(tenant)
    }

    part!(tenant, with_tenant, "tenant_id", "tenant");
    part!(namespace, with_namespace, "namespace", "namespace");
    part!(user, with_user, "user_id", "user");
    part!(agent, with_agent, "agent_id", "agent");
    part!(session, with_session, "session_id", "session");

    /// The namespace that writes go to.
    #[must_use]
    pub fn write_namespace(&self) -> &str {
        if self.namespace.is_empty() { DEFAULT_NAMESPACE } else { &self.namespace }
    }

    /// The whole tenant of this scope.
    #[must_use]
    pub fn whole_tenant(&self) -> Self {
        Self { tenant: self.tenant.clone(), ..Self::default() }
    }

    /// This scope without its session.
    #[must_use]
    pub fn without_session(&self) -> Self {
        Self { session: String::new(), ..self.clone() }
    }

    /// Whether rows of `namespace`, `user` and `session` are visible from here.
    #[must_use]
    pub fn sees(&self, namespace: &str, user: &str, session: &str) -> bool {
        (self.namespace.is_empty() || self.namespace == namespace)
            && (self.user.is_empty() || user.is_empty() || self.user == user)
            && (self.session.is_empty() || self.session == session)
    }

    /// This scope narrowed by the parts that a request names itself.
    ///
    /// # Errors
    /// `InvalidInput` when a part contradicts the scope, or is no valid id.
    pub fn narrow(&self, parts: &ScopeParts) -> Result<Self> {
        let mut scope = self.clone();
        for (field, own, other) in [
            ("namespace", &mut scope.namespace, &parts.namespace),
            ("user_id", &mut scope.user, &parts.user_id),
            ("agent_id", &mut scope.agent, &parts.agent_id),
            ("session_id", &mut scope.session, &parts.session_id),
        ] {
            let Some(other) = other else { continue };
            check_id(field, other, MAX_ID_CHARS)?;
            if other == own {
                continue;
            }
            if !own.is_empty() && field != "agent_id" {
                return Err(Error::invalid(field, "contradicts the scope of the call"));
            }
            own.clone_from(other);
        }
        Ok(scope)
    }
}

impl Default for Scope {
    fn default() -> Self {
        Self {
            tenant: DEFAULT_TENANT.to_owned(),
            namespace: String::new(),
            user: String::new(),
            agent: String::new(),
            session: String::new(),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.tenant)?;
        for (name, part) in [
            ("namespace", &self.namespace),
            ("user", &self.user),
            ("agent", &self.agent),
            ("session", &self.session),
        ] {
            if !part.is_empty() {
                write!(f, " {name}={part}")?;
            }
        }
        Ok(())
    }
}

/// Parts of a scope that a single request names itself, for example an item of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ScopeParts {
    /// Narrows to a namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Narrows to a user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The author, stamped on what is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// Narrows to a session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
}

impl From<&Scope> for ScopeParts {
    fn from(scope: &Scope) -> Self {
        let some = |part: &str| Some(part.to_owned()).filter(|part| !part.is_empty());
        Self {
            namespace: some(scope.namespace()),
            user_id: some(scope.user()),
            agent_id: some(scope.agent()),
            session_id: some(scope.session()),
        }
    }
}

/// Whose rows [`erase`](crate::MemoryBackend::erase) removes, inside the tenant of the call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Subject {
    /// The whole tenant.
    Tenant,
    /// One namespace.
    Namespace(String),
    /// One user.
    User(String),
    /// Everything that one agent wrote.
    Agent(String),
    /// One session.
    Session(String),
}

impl Subject {
    /// The name of the part and its id; the tenant has an empty id.
    #[must_use]
    pub fn parts(&self) -> (&'static str, &str) {
        match self {
            Self::Tenant => ("tenant", ""),
            Self::Namespace(id) => ("namespace", id),
            Self::User(id) => ("user", id),
            Self::Agent(id) => ("agent", id),
            Self::Session(id) => ("session", id),
        }
    }

    /// Checks the id.
    ///
    /// # Errors
    /// `InvalidInput` naming `subject`.
    pub fn validate(&self) -> Result<()> {
        match self {
            Self::Tenant => Ok(()),
            _ => check_id("subject", self.parts().1, MAX_ID_CHARS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn ids_are_counted_in_characters_and_hold_no_control_characters() {
        assert!(Scope::new("é".repeat(100)).is_ok());
        for bad in [String::new(), "x".repeat(101), "a\u{7}b".to_owned()] {
            let error = Scope::new(bad).expect_err("a bad id");
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert_eq!(error.fields()[0].field, "tenant_id");
        }
    }

    #[test]
    fn a_request_narrows_its_scope_and_never_leaves_it() -> Result<()> {
        let scope = Scope::new("acme")?.with_namespace("notes")?;
        let parts = ScopeParts { user_id: Some("ana".into()), ..ScopeParts::default() };
        assert_eq!(scope.narrow(&parts)?.user(), "ana");
        let elsewhere = ScopeParts { namespace: Some("other".into()), ..ScopeParts::default() };
        assert!(scope.narrow(&elsewhere).is_err());
        Ok(())
    }

    #[test]
    fn rows_without_a_user_are_shared() -> Result<()> {
        let scope = Scope::new("acme")?.with_user("ana")?;
        assert!(scope.sees("default", "ana", "") && scope.sees("default", "", "s"));
        assert!(!scope.sees("default", "bob", ""));
        Ok(())
    }
}
