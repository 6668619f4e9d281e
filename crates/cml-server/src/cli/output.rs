//! What is printed, and where.

use std::{
    fmt::Display,
    io::{self, IsTerminal as _, Write as _},
};

use cml::{Error, ErrorKind};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::{
    args::Global,
    exit::{Done, Failure},
};

/// Answers on stdout, everything else on stderr.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    json: bool,
    quiet: bool,
    /// Whether stdout is a terminal, which must not see the control characters of a memory.
    terminal: bool,
}

impl Output {
    pub(crate) fn new(global: &Global) -> Self {
        Self { json: global.json, quiet: global.quiet, terminal: io::stdout().is_terminal() }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// The answer as JSON, or for people.
    pub(crate) fn show<T: Serialize + Display>(&self, answer: &T) -> Done {
        self.answer(answer, || answer.to_string())
    }

    /// The answer as JSON, or what `text` makes of it.
    pub(crate) fn answer(&self, answer: &impl Serialize, text: impl FnOnce() -> String) -> Done {
        if self.json { self.object(answer) } else { self.text(&text()) }
    }

    /// A JSON document on a line of its own.
    pub(crate) fn object(&self, value: &impl Serialize) -> Done {
        let mut bytes = serde_json::to_vec(value).map_err(io::Error::from)?;
        bytes.push(b'\n');
        print(&bytes)
    }

    /// A text; an empty one prints nothing.
    pub(crate) fn text(&self, text: &str) -> Done {
        if text.is_empty() {
            return Ok(());
        }
        let mut text = if self.terminal { visible(text) } else { text.to_owned() };
        if !text.ends_with('\n') {
            text.push('\n');
        }
        print(text.as_bytes())
    }

    /// A remark beside the answer.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet && !self.json {
            self.complain(text);
        }
    }

    /// What must be said even to the quiet.
    pub(crate) fn complain(&self, text: &str) {
        // Nobody is left to tell when stderr is gone.
        let _gone = writeln!(io::stderr().lock(), "{}", visible(text));
    }

    /// Progress on a terminal; hidden elsewhere.
    pub(crate) fn bar(&self) -> ProgressBar {
        if self.quiet || !io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{spinner} {pos} of {len} {msg} ({elapsed}, {per_sec})");
        bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
    }

    /// Asks before something is removed for good.
    ///
    /// # Errors
    /// `InvalidInput` where nobody can be asked; a code of 1 for any answer but yes.
    pub(crate) fn confirm(&self, yes: bool, question: &str) -> Done {
        if yes {
            return Ok(());
        }
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            let message = "this removes data for good and nobody can be asked";
            let error = Error::new(ErrorKind::InvalidInput, message).with_suggestion("repeat it with --yes");
            return Err(error.into());
        }
        let mut stderr = io::stderr().lock();
        write!(stderr, "{} [y/N] ", visible(question))?;
        stderr.flush()?;
        let mut answer = String::new();
        io::stdin().read_line(&mut answer)?;
        if matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
            return Ok(());
        }
        drop(stderr);
        self.complain("nothing was changed");
        Err(Failure::Code(1))
    }
}

fn print(bytes: &[u8]) -> Done {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    Ok(stdout.flush()?)
}

/// Text without the control characters that could steer a terminal.
fn visible(text: &str) -> String {
    let shown = |character: char| match character {
        '\n' | '\t' => character,
        character if character.is_control() => char::REPLACEMENT_CHARACTER,
        character => character,
    };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_memory_cannot_steer_the_terminal() {
        assert_eq!(visible("a\u{1b}[2Jb\n\tc"), "a\u{fffd}[2Jb\n\tc");
    }
}
