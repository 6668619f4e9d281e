//! `cml turn`.

use chrono::{DateTime, Utc};
use clap::Args;
use cml::{Memory, ops::TurnRequest};

use super::{exit::Done, input, output::Output, parse};

#[derive(Debug, Args)]
pub(crate) struct Turn {
    /// What the user said; `-` or nothing reads standard input
    message: Option<String>,
    /// What was answered; the exchange is stored only with it
    #[arg(long, value_name = "TEXT")]
    answer: Option<String>,
    /// Token budget of the recalled context
    #[arg(long, value_name = "N", default_value_t = cml::ops::DEFAULT_CONTEXT_TOKENS)]
    max_tokens: usize,
    /// When it was said; now when absent
    #[arg(long, value_name = "TIME", value_parser = parse::instant)]
    timestamp: Option<DateTime<Utc>>,
    /// IANA zone in which dates are meant
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    /// Your own id of the turn: a repeat of it in the session stores nothing new
    #[arg(long, value_name = "ID")]
    turn_id: Option<String>,
}

impl Turn {
    pub(crate) async fn run(self, memory: &Memory, output: &Output) -> Done {
        let answered = self.answer.is_some();
        let mut request = TurnRequest::new(input::text("user_message", self.message).await?);
        request.assistant_response = self.answer;
        request.max_context_tokens = self.max_tokens;
        request.timestamp = self.timestamp;
        request.user_timezone = self.timezone;
        request.turn_id = self.turn_id;
        let answer = memory.turn(request).await?;
        if answered {
            output.note(&format!(
                "{} memories recalled, {} stored",
                answer.memories_retrieved, answer.memories_stored
            ));
        }
        output.answer(&answer, || answer.memory_context.clone())
    }
}
