//! Errors of PostgreSQL as errors of the library.
//!
//! What the server says may quote rows, so that an error keeps its SQLSTATE and the names of tables
//! alone (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).

use std::{error::Error as StdError, fmt};

use cml_core::{Error, ErrorKind};

use crate::store::sql::error::closed;

/// What trying again promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// The connection is gone; another one may do.
    Lost,
    /// Another transaction was in the way.
    Contended,
    /// The same would happen again.
    Lasting,
}

/// The cause of an error.
#[derive(Debug)]
struct Cause {
    class: Class,
    text: String,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl StdError for Cause {}

/// What trying again after `error` promises.
pub(super) fn class(error: &Error) -> Class {
    let cause = StdError::source(error).and_then(|source| source.downcast_ref::<Cause>());
    cause.map_or(Class::Lasting, |cause| cause.class)
}

/// What a statement of a running store failed with.
#[expect(clippy::needless_pass_by_value, reason = "made for `map_err`")]
pub(in crate::store) fn failed(error: sqlx::Error) -> Error {
    use ErrorKind::{Config, Conflict, Internal, InvalidInput, Unavailable};
    let code = code(&error);
    let (kind, message, class) = match (&error, code.as_deref()) {
        (sqlx::Error::PoolClosed, _) => return closed(),
        (sqlx::Error::PoolTimedOut, _) => (Unavailable, "the database cannot be reached", Class::Lost),
        (sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed, _) => {
            (Unavailable, "the connection to the database was lost", Class::Lost)
        }
        (_, Some("57P03")) => (Unavailable, "the database is starting up or shutting down", Class::Lost),
        (_, Some("53300")) => (Unavailable, "the database takes no more connections", Class::Lost),
        (_, Some("57P01" | "57P02" | "57P05" | "25P03")) => {
            (Unavailable, "the database closed the connection", Class::Lost)
        }
        (_, Some("40001" | "40P01")) => {
            (Unavailable, "transactions of several processes were in each other's way", Class::Contended)
        }
        (_, Some("55P03" | "57014")) => {
            (Unavailable, "a statement took longer than the database allows", Class::Lasting)
        }
        (_, Some("53100")) => (Unavailable, "the database's disk is full", Class::Lasting),
        (_, Some("53200")) => (Unavailable, "the database is out of memory", Class::Lasting),
        (_, Some("58030" | "XX001" | "XX002")) => {
            (Unavailable, "the database's disk failed or its files are damaged", Class::Lasting)
        }
        (_, Some("25006")) => {
            (Unavailable, "the database is read-only: a standby, or set so", Class::Lasting)
        }
        (_, Some("23505")) => (Conflict, "a row of this identity exists already", Class::Lasting),
        (_, Some("22021" | "22P05")) => {
            (InvalidInput, "text must not contain the character NUL", Class::Lasting)
        }
        (_, Some("54000")) => {
            (InvalidInput, "a name or key is too long for an index of the database", Class::Lasting)
        }
        (_, Some("28P01" | "28000")) => {
            (Config, "postgres.url: the database no longer takes the user or its password", Class::Lasting)
        }
        (_, Some("42501")) => (Config, "postgres.url: the user lacks a right on the schema", Class::Lasting),
        (_, Some("42P01" | "3F000" | "3D000")) => {
            (Config, "postgres.schema: the schema was changed or removed", Class::Lasting)
        }
        (_, Some(code)) if code.starts_with("08") => {
            (Unavailable, "the connection to the database was lost", Class::Lost)
        }
        (sqlx::Error::Database(_), _) => (Internal, "the database refused a statement", Class::Lasting),
        _ => (Internal, "the database answered what the store does not understand", Class::Lasting),
    };
    let full = code.as_deref() == Some("53100");
    let error = Error::new(kind, message).with_source(Cause { class, text: cause(&error) });
    if full {
        error.with_suggestion("make room on the disk where the database keeps its data")
    } else {
        error
    }
}

/// The SQLSTATE.
pub(super) fn code(error: &sqlx::Error) -> Option<String> {
    Some(error.as_database_error()?.code()?.into_owned())
}

/// What is said of an error of the library beneath: nothing that may quote a row or an address.
fn cause(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(database) => {
            let mut text = format!("SQLSTATE {}", database.code().as_deref().unwrap_or("unknown"));
            for (name, value) in [("table", database.table()), ("constraint", database.constraint())] {
                if let Some(value) = value {
                    text.push_str(&format!(", {name} {value}"));
                }
            }
            text
        }
        sqlx::Error::Io(io) => io.to_string(),
        sqlx::Error::Configuration(_) => "the settings do not fit together".to_owned(),
        other => other.to_string(),
    }
}

/// What is connected to, for messages.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) database: String,
}

impl Place {
    /// What connecting failed with.
    pub(super) fn refused(&self, error: sqlx::Error) -> Error {
        let Self { host, port, user, database } = self;
        match (&error, code(&error).as_deref()) {
            (sqlx::Error::Io(io), _) if io.kind() == std::io::ErrorKind::ConnectionRefused => {
                self.away(&format!("no server answers at {host}:{port}"))
            }
            (sqlx::Error::Io(io), _) if unknown_host(io) => url(&format!("the host {host} is not known")),
            (sqlx::Error::Io(_), _) => self.away(&format!("the server at {host}:{port} cannot be reached")),
            (sqlx::Error::Tls(_), _) => {
                url(&format!("the server at {host}:{port} and this program agree on no TLS connection"))
                    .with_suggestion("see `sslmode` and `sslrootcert` in the URL")
            }
            (sqlx::Error::Protocol(_), _) => url(&format!("what answers at {host}:{port} is no PostgreSQL")),
            (_, Some("28P01" | "28000")) => {
                url(&format!("the server refuses the user {user} or its password"))
            }
            (_, Some("3D000")) => url(&format!("the database {database} does not exist"))
                .with_suggestion(format!("CREATE DATABASE {};", quoted(database))),
            (_, Some("42501")) => {
                url(&format!("the user {user} may not connect to the database {database}")).with_suggestion(
                    format!("GRANT CONNECT ON DATABASE {} TO {};", quoted(database), quoted(user)),
                )
            }
            _ => {
                let error = failed(error);
                let message = format!("postgres.url: {}", error.message());
                if error.message().starts_with("postgres.") {
                    return error;
                }
                let suggestion = error.suggestion().map(str::to_owned);
                let refused = Error::new(error.kind(), message).with_source(error);
                return match suggestion {
                    Some(suggestion) => refused.with_suggestion(suggestion),
                    None => refused,
                };
            }
        }
        .with_source(Cause { class: Class::Lasting, text: cause(&error) })
    }

    /// Nothing at the place answers.
    pub(super) fn away(&self, message: &str) -> Error {
        Error::new(ErrorKind::Unavailable, format!("postgres.url: {message}"))
            .with_suggestion("start the server, or set postgres.url (CML_POSTGRES_URL)")
    }
}

fn unknown_host(error: &std::io::Error) -> bool {
    // Resolving a name gives an error of no kind and no number.
    error.raw_os_error().is_none() && error.to_string().contains("lookup")
}

/// `Config` on `postgres.url`.
pub(super) fn url(message: &str) -> Error {
    Error::new(ErrorKind::Config, format!("postgres.url: {message}"))
        .with_suggestion("set postgres.url (CML_POSTGRES_URL) to postgres://user:password@host:5432/database")
}

/// A name in double quotes.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_tried_again_is_told_by_the_error() {
        let lost = failed(sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into()));
        assert_eq!((lost.kind(), class(&lost)), (ErrorKind::Unavailable, Class::Lost));
        let other = failed(sqlx::Error::RowNotFound);
        assert_eq!((other.kind(), class(&other)), (ErrorKind::Internal, Class::Lasting));
        assert_eq!(class(&closed()), Class::Lasting);
    }

    #[test]
    fn a_quoted_name_cannot_end_early() {
        assert_eq!(quoted("a\"b"), "\"a\"\"b\"");
    }
}
