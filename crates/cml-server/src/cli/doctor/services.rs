//! The services of the modes standard and full.

use axum::http::Uri;
use cml::{
    Config, Error, ErrorKind, Memory,
    config::{Mode, without_secrets},
};

use super::{Findings, local, reach};

/// Checks the settings, opens the memory as any verb would, and asks each of its parts. Where it does not
/// open, looks which service is away.
pub(super) async fn examine(config: &Config, findings: &mut Findings) {
    let mut broken = false;
    for (service, address) in addresses(config) {
        match address {
            Ok(address) => findings.ok(service, without_secrets(address)),
            Err(error) => {
                broken = true;
                findings.error(service, &error, "set it");
            }
        }
    }
    if broken {
        return;
    }
    let memory = match Memory::connect(config).await {
        Ok(memory) => memory,
        Err(error) => {
            findings.error("open", &error, remedy(&error));
            if matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout) {
                search(config, findings).await;
            }
            return;
        }
    };
    findings.ok("open", "the database is ours and of a version that this program knows".to_owned());
    local::components(&memory, findings).await;
    match memory.stats().await {
        Ok(stats) => findings.ok("memories", format!("{} in the scope", stats.total_memories)),
        Err(error) => findings.error("memories", &error, remedy(&error)),
    }
    if let Err(error) = memory.close().await {
        findings.error("close", &error, remedy(&error));
    }
}

/// The addresses of the services that the mode needs.
fn addresses(config: &Config) -> Vec<(&'static str, Result<&str, Error>)> {
    let mut addresses = vec![("postgres", config.postgres.address())];
    if config.mode == Mode::Full {
        addresses.push(("neo4j", config.neo4j.address()));
        addresses.push(("redis", config.redis.address()));
    }
    addresses
}

/// Which service nobody answers at.
async fn search(config: &Config, findings: &mut Findings) {
    for (service, address) in addresses(config) {
        let Ok(address) = address else { continue };
        let usual = match service {
            "postgres" => 5432,
            "neo4j" => 7687,
            _ => 6379,
        };
        let shown = without_secrets(address);
        if let Some((host, port)) = place(&shown, usual) {
            let remedy = format!("start it, correct {service}.url, or open the firewall");
            reach::connect((&host, port), &shown, &remedy, findings).await;
        }
    }
}

/// Host and port of an address; none where it names a socket instead.
fn place(address: &str, usual: u16) -> Option<(String, u16)> {
    let address: Uri = address.parse().ok()?;
    let host = address.host().filter(|host| !host.is_empty())?;
    Some((host.to_owned(), address.port_u16().unwrap_or(usual)))
}

fn remedy(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::Unsupported => "use a program with this mode compiled in",
        ErrorKind::Unavailable | ErrorKind::Timeout => "start the database, or correct postgres.url",
        _ => "look at the database's own log",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart() {
        let at = |host: &str, port| Some((host.to_owned(), port));
        let place = |address: &str| place(&without_secrets(address), 5432);
        assert_eq!(place("postgres://ana:p@w@db.example/cml"), at("db.example", 5432));
        assert_eq!(place("redis://localhost:7000/1"), at("localhost", 7000));
        assert_eq!(place("bolt+s://[::1]"), at("[::1]", 5432));
        assert_eq!(place("postgres:///cml?host=/run/postgresql"), None);
    }
}
