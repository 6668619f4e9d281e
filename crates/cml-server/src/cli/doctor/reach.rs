//! Whether anything answers at a host and port.

use std::time::Duration;

use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};

use super::Findings;

/// Longest time that a step waits for the other side.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// Looks the name up and connects; whether something listens at what is `shown`.
pub(super) async fn connect(
    (host, port): (&str, u16),
    shown: &str,
    remedy: &str,
    findings: &mut Findings,
) -> bool {
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let addresses = match timeout(PATIENCE, lookup_host((name, port))).await {
        Ok(Ok(addresses)) => addresses.collect::<Vec<_>>(),
        _ => Vec::new(),
    };
    if addresses.is_empty() {
        findings.fail("name", format!("the name {name} has no address"), remedy);
        return false;
    }
    findings.ok("name", format!("{name} is known"));
    let connected = timeout(PATIENCE, TcpStream::connect(addresses.as_slice())).await;
    if !matches!(connected, Ok(Ok(_))) {
        findings.fail("connection", format!("nothing answers at {shown}"), remedy);
        return false;
    }
    findings.ok("connection", format!("something listens at {shown}"));
    true
}
