//! What the server costs.

use std::{fs, net::SocketAddr, path::PathBuf, time::Duration};

use crate::{BenchResult, serve::Server};

/// Linux counts CPU in hundredths of a second (`USER_HZ`, proc(5)).
const TICKS_PER_SECOND: f64 = 100.0;

impl Server {
    pub(crate) fn address(&self) -> BenchResult<SocketAddr> {
        Ok(self.url.strip_prefix("http://").unwrap_or_default().parse()?)
    }

    /// CPU time of all threads since the start.
    pub(crate) fn cpu(&self) -> Duration {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        // The name of the command, in parentheses, may hold blanks. User and system time are fields 14 and 15.
        let fields = text.rsplit_once(") ").map_or("", |(_, fields)| fields);
        let ticks = fields.split(' ').skip(11).take(2).filter_map(|field| field.parse::<f64>().ok());
        Duration::from_secs_f64(ticks.sum::<f64>() / TICKS_PER_SECOND)
    }

    /// Resident memory in megabytes.
    pub(crate) fn resident_mb(&self) -> f64 {
        let text = fs::read_to_string(format!("/proc/{}/statm", self.child.id())).unwrap_or_default();
        let pages = text.split(' ').nth(1).and_then(|pages| pages.parse::<f64>().ok());
        pages.unwrap_or_default() * 4096.0 / 1e6
    }
}

/// `CML_BIN`, or the `cml` that was built with the bench.
pub(crate) fn binary() -> PathBuf {
    std::env::var_os("CML_BIN").map_or_else(|| env!("CARGO_BIN_EXE_cml").into(), PathBuf::from)
}
