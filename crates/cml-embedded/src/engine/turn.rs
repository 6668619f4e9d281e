//! One message with its answer: recall, render, then log and store.

use cml_core::{
    Result, Scope,
    memory::Role,
    ops::{ReadFormat, ReadRequest, TurnRequest, TurnResponse, WriteRequest},
};

use super::Engine;

/// Memories recalled for a turn; the token budget decides how many are shown.
const RECALLED: usize = 20;

impl Engine {
    /// Recalls for a user's message, then stores the exchange if there is an answer.
    ///
    /// # Errors
    /// `InvalidInput`, `Conflict` for an idempotency key that was used with another request.
    pub async fn turn(&self, scope: &Scope, request: TurnRequest) -> Result<TurnResponse> {
        request.validate()?;
        let scope = scope.narrow(&request.scope)?;
        let mut read = ReadRequest::new(request.user_message.clone())
            .with_max_results(RECALLED)
            .with_format(ReadFormat::LlmContext)
            .with_max_context_tokens(request.max_context_tokens);
        read.reference_time = request.timestamp;
        read.user_timezone.clone_from(&request.user_timezone);
        let session = Some(scope.session().to_owned()).filter(|session| !session.is_empty());
        let (recalled, included) = self.recall(&scope.without_session(), read, session).await?;

        let mut stored = 0;
        if let Some(answer) = &request.assistant_response {
            let exchange = [(&request.user_message, Role::User), (answer, Role::Assistant)];
            let writes = exchange.map(|(text, role)| {
                let mut write = WriteRequest::new(text.clone()).with_role(role);
                write.timestamp = request.timestamp;
                write.user_timezone.clone_from(&request.user_timezone);
                write.turn_id.clone_from(&request.turn_id);
                let key = request.idempotency_key.as_ref();
                write.idempotency_key = key.map(|key| super::answers::derived_key(key, role.as_str()));
                write
            });
            for written in self.write_batch(&scope, writes.into()).await? {
                stored += usize::from(written?.chunks_created > 0);
            }
        }
        Ok(TurnResponse {
            memories_retrieved: included.len(),
            memory_context: recalled.llm_context.unwrap_or_default(),
            memories_stored: stored,
            reconsolidation_applied: false,
            memories: included.iter().filter_map(|&at| recalled.memories.get(at).cloned()).collect(),
        })
    }
}
