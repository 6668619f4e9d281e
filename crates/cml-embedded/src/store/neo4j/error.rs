//! Errors of Neo4j as errors of the library.
//!
//! What the server says about a statement may quote its values, so only its code is kept.

use std::time::Duration;

use cml_core::{Error, ErrorKind};
use neo4rs::{Neo4jClientErrorKind, Neo4jErrorKind, Neo4jSecurityErrorKind};

/// An option that cannot be used.
pub(super) fn config(option: &'static str, message: &str) -> Error {
    Error::new(ErrorKind::Config, format!("{option}: {message}"))
}

/// The server is away.
pub(super) fn away() -> Error {
    Error::new(ErrorKind::Unavailable, "neo4j cannot be reached")
}

/// The server did not answer in time.
pub(super) fn late(timeout: Duration) -> Error {
    let message = format!("neo4j did not answer within {} ms", timeout.as_millis());
    Error::new(ErrorKind::Unavailable, message)
}

/// A row that this version of the projection cannot have written.
pub(super) fn malformed(property: &str) -> Error {
    Error::new(ErrorKind::Internal, format!("a node of the graph holds an unreadable {property}"))
        .with_suggestion("rebuild the graph")
}

/// The user and password were refused.
pub(super) fn refused() -> Error {
    config("neo4j.password", "neo4j refuses this user with this password")
        .with_suggestion("set neo4j.user and neo4j.password to those of the server")
}

/// A URL that no connection can be made to.
pub(super) fn unusable(error: neo4rs::Error) -> Error {
    config("neo4j.url", "no connection can be made to it").with_source(error)
}

/// What a call failed with.
pub(super) fn failed(error: neo4rs::Error) -> Error {
    use neo4rs::Error as E;
    match error {
        E::Neo4j(error) => answered(&error),
        E::AuthenticationError(message) if is_refusal(&message) => refused(),
        E::ProtocolMismatch(_) | E::UnsupportedVersion(..) => {
            config("neo4j.url", "what answers there does not speak Bolt 4")
                .with_suggestion("give the Bolt port, 7687 by default, not the one for browsers")
        }
        E::IOError { detail } => away().with_source(detail),
        E::ConnectionError
        | E::ConnectionTimedOut
        | E::IncompleteBoltExchange
        | E::ServerUnavailableError(_)
        | E::RequestIgnoredError
        | E::Ignored(_)
        | E::AuthenticationError(_) => away(),
        E::DeserializationError(_) => malformed("property"),
        _ => Error::new(ErrorKind::Internal, "the exchange with neo4j failed"),
    }
}

/// Whether a refused greeting is about who we are, and not about the state of the server.
fn is_refusal(message: &str) -> bool {
    let message = message.to_lowercase();
    ["unauthorized", "authentication", "credentials"].iter().any(|word| message.contains(word))
}

fn answered(error: &neo4rs::Neo4jError) -> Error {
    use Neo4jClientErrorKind as Client;
    let mapped = match error.kind() {
        Neo4jErrorKind::Transient
        | Neo4jErrorKind::Client(Client::TransactionTerminated | Client::SessionExpired) => {
            Error::new(ErrorKind::Unavailable, "neo4j cannot do this at the moment")
        }
        Neo4jErrorKind::Client(Client::Security(Neo4jSecurityErrorKind::Forbidden)) => {
            config("neo4j.user", "neo4j does not let this user do what the graph needs")
                .with_suggestion("let it read and write, and make constraints and indexes")
        }
        Neo4jErrorKind::Client(Client::Security(_)) => refused(),
        Neo4jErrorKind::Client(Client::FatalDiscovery) => {
            config("neo4j.database", "the server has no database of this name")
        }
        _ => Error::new(ErrorKind::Internal, "neo4j refused a statement"),
    };
    mapped.with_context("code", error.code())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greeting_is_refused_for_who_we_are_or_for_the_state_of_the_server() {
        let refused = "The client is unauthorized due to authentication failure.";
        let error = failed(neo4rs::Error::AuthenticationError(refused.into()));
        assert_eq!(error.kind(), ErrorKind::Config);
        let error = failed(neo4rs::Error::AuthenticationError("The database is shutting down".into()));
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }
}
