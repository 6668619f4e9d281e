//! `cml doctor`: what is wrong with a set-up, step by step, and what to do.

mod findings;
mod local;
mod reach;
mod server;
mod services;

use clap::Args;
use cml::config::{Mode, Sources};
use cml_server::Keys;
use serde_json::json;

use self::findings::Findings;
use super::{
    args::Global,
    exit::{Done, Failure},
    output::Output,
    setup::{self, Setup},
};

/// Ends with 0 only if nothing is broken.
#[derive(Debug, Args)]
pub(crate) struct Doctor {}

impl Doctor {
    pub(crate) async fn run(self, global: &Global, output: &Output) -> Done {
        let mut findings = Findings::default();
        examine(global, &mut findings).await;
        let ok = findings.is_well();
        output.answer(&json!({ "ok": ok, "findings": findings.all() }), || findings.to_string())?;
        if ok { Ok(()) } else { Err(Failure::Code(1)) }
    }
}

async fn examine(global: &Global, findings: &mut Findings) {
    let sources = match setup::sources(global) {
        Ok(sources) => sources,
        Err(error) => return findings.error("settings", &error, "correct what it names"),
    };
    findings.ok("sources", told(&sources));
    let setup = match Setup::from_sources(&sources, global) {
        Ok(setup) => setup,
        Err(error) => return findings.error("settings", &error, "correct what it names"),
    };
    findings.ok("settings", format!("mode {}, tenant {}", setup.config.mode, setup.config.tenant));
    match setup.config.mode {
        Mode::Lite => local::examine(&setup, findings).await,
        Mode::Http => server::examine(&setup.config, findings).await,
        Mode::Standard | Mode::Full => services::examine(&setup.config, findings).await,
        mode => findings.error("mode", &mode.not_compiled(), "choose another mode"),
    }
    if setup.config.mode != Mode::Http {
        match Keys::from_config(&setup.config) {
            Ok(keys) if keys.is_empty() => {
                findings.ok("server keys", "none; `cml serve` makes one".to_owned());
            }
            Ok(_) => findings.ok("server keys", "`cml serve` has keys".to_owned()),
            Err(error) => findings.error("server keys", &error, "correct the file that CML_KEYS_FILE names"),
        }
    }
}

/// Where settings come from; never their values.
fn told(sources: &Sources) -> String {
    let mut told = Vec::new();
    if let Some(file) = &sources.file {
        told.push(format!("the file {}", file.display()));
    }
    if sources.dotenv {
        told.push("the file .env".to_owned());
    }
    let variables: Vec<_> = sources.variables().collect();
    if !variables.is_empty() {
        told.push(format!("the variables {}", variables.join(", ")));
    }
    if told.is_empty() {
        return "no file and no variable sets anything; arguments and defaults are used".to_owned();
    }
    format!("settings come from arguments and {}", told.join(", "))
}
