//! Removing every trace of a subject.

use cml_core::{
    Result, Scope, Subject,
    memory::{Event, EventType, OperationType},
    ops::{EraseRequest, EraseResponse},
};

use super::{
    Attempts, Engine,
    plan::{Plan, event, payload},
};
use crate::store::{Outcome, Precondition, Removal, View};

impl Engine {
    /// Removes every row of a subject.
    ///
    /// # Errors
    /// `InvalidInput` for a bad id.
    pub async fn erase(&self, scope: &Scope, request: EraseRequest) -> Result<EraseResponse> {
        // That something was erased is kept; of whom only the kind of subject. Of a tenant nothing is.
        let detail = payload([("subject", request.subject.parts().0.into())]);
        let whole = scope.whole_tenant();
        let erased =
            event(&whole, EventType::Tenant, OperationType::Erase, Vec::new(), detail, self.clock.now());
        let note = (request.subject != Subject::Tenant).then_some(erased);
        self.remove(scope, &request.subject, note.into_iter().collect()).await
    }

    /// Removes a subject and leaves `events` behind.
    pub(super) async fn remove(
        &self,
        scope: &Scope,
        subject: &Subject,
        events: Vec<Event>,
    ) -> Result<EraseResponse> {
        subject.validate()?;
        let tenant = scope.tenant();
        let mut attempts = Attempts::new(self, tenant);
        loop {
            attempts.next().await?;
            let mut plan = Plan::new(tenant, self.clock.now());
            plan.changes.erase = Some(subject.clone());
            self.renew_followers(&mut plan, tenant, &Removal::Subject(subject.clone())).await?;
            plan.changes.events.clone_from(&events);
            if let Outcome::Committed(committed) = self.commit(plan.changes).await? {
                self.forget_kept(tenant, subject).await;
                let affected_count = committed.removed.get("records").copied().unwrap_or_default();
                return Ok(EraseResponse { counts: committed.removed, affected_count });
            }
        }
    }

    /// Makes the context vectors again that hold something of the messages about to be removed.
    pub(super) async fn renew_followers(
        &self,
        plan: &mut Plan,
        tenant: &str,
        removed: &Removal,
    ) -> Result<()> {
        let serving = self.generation.get();
        if serving.model().additive {
            return Ok(());
        }
        let state = self.store.tenant(tenant).await?;
        let followers = self.store.followers(tenant, removed).await?;
        if followers.is_empty() {
            return Ok(());
        }
        plan.require(Precondition::Seq(state.last_seq));
        plan.require(Precondition::Model(serving.id));
        let mut texts = Vec::new();
        let mut ids = Vec::new();
        for follower in &followers {
            if let Some(record) = follower.records.iter().find(|record| record.chunk_index == 0) {
                // At the beginning of a session the context of a text is the text.
                let before = follower.before.as_ref().map_or(String::new(), |before| format!("{before}\n"));
                texts.push(format!("{before}{}", record.text));
                ids.push(record.id);
            }
        }
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let vectors = self.vectors_at(&serving, tenant, state.epoch).embed(&texts).await?;
        for (id, vector) in ids.into_iter().zip(vectors) {
            plan.add_vector(id, serving.id, View::Context, Some(&vector));
        }
        Ok(())
    }
}
