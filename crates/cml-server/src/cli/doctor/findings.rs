//! What was found, in the order of the steps.

use std::fmt;

use cml::Error;
use serde::Serialize;

/// How a step came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Ok,
    Warning,
    Failed,
}

/// The result of one step.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    check: &'static str,
    state: State,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

/// The results so far.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    pub(super) fn ok(&mut self, check: &'static str, message: String) {
        self.0.push(Finding { check, state: State::Ok, message, remedy: None });
    }

    pub(super) fn warn(&mut self, check: &'static str, message: String, remedy: &str) {
        self.0.push(Finding { check, state: State::Warning, message, remedy: Some(remedy.to_owned()) });
    }

    pub(super) fn fail(&mut self, check: &'static str, message: String, remedy: &str) {
        self.0.push(Finding { check, state: State::Failed, message, remedy: Some(remedy.to_owned()) });
    }

    /// `error`, with its own suggestion or else `remedy`.
    pub(super) fn error(&mut self, check: &'static str, error: &Error, remedy: &str) {
        self.fail(check, error.message().to_owned(), error.suggestion().unwrap_or(remedy));
    }

    pub(super) fn all(&self) -> &[Finding] {
        &self.0
    }

    pub(super) fn is_well(&self) -> bool {
        self.0.iter().all(|finding| finding.state != State::Failed)
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Finding { check, state, message, remedy } in &self.0 {
            let mark = match state {
                State::Ok => "ok     ",
                State::Warning => "warning",
                State::Failed => "FAILED ",
            };
            writeln!(f, "{mark}  {check}: {message}")?;
            if let Some(remedy) = remedy {
                writeln!(f, "         to do: {remedy}")?;
            }
        }
        f.write_str(if self.is_well() { "all is well" } else { "something is broken" })
    }
}
