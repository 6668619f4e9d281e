//! The closed vocabularies: types, statuses, sources, roles, categories.

use crate::string_enum;

string_enum! {
    /// What kind of memory a record is.
    pub enum MemoryType("memory_type") {
        /// Something that happened, with time and source; the type of text that fits nothing else.
        EpisodicEvent = "episodic_event",
        /// A statement about the world or a person that holds for some time.
        SemanticFact = "semantic_fact",
        /// How something is done, step by step.
        Procedure = "procedure",
        /// A goal, value, policy, state or causal rule that bears on later requests.
        Constraint = "constraint",
        /// Something assumed and not confirmed.
        Hypothesis = "hypothesis",
        /// What somebody likes, dislikes or would rather have.
        Preference = "preference",
        /// Where a piece of work stands.
        TaskState = "task_state",
        /// A part of a conversation kept as a whole.
        Conversation = "conversation",
        /// One message.
        Message = "message",
        /// What a tool returned.
        ToolResult = "tool_result",
        /// A step of an agent's reasoning.
        ReasoningStep = "reasoning_step",
        /// Working notes of a session.
        Scratch = "scratch",
        /// Reference material, documents, code.
        Knowledge = "knowledge",
        /// Something perceived in the environment.
        Observation = "observation",
        /// Something intended.
        Plan = "plan",
    }
}

string_enum! {
    /// Whether and how a memory takes part in recall.
    pub enum MemoryStatus("status") {
        /// Returned by reads.
        Active = "active",
        /// Returned only for a strong cue.
        Silent = "silent",
        /// Shortened, and returned by reads.
        Compressed = "compressed",
        /// Kept, never returned by reads.
        Archived = "archived",
        /// Marked as wrong; never returned by reads, removed by the next forgetting run.
        Deleted = "deleted",
    }
}

string_enum! {
    /// Where a memory or fact comes from.
    pub enum MemorySource("source") {
        /// The user said it.
        UserExplicit = "user_explicit",
        /// The user said it again or confirmed it.
        UserConfirmed = "user_confirmed",
        /// An agent derived it.
        AgentInferred = "agent_inferred",
        /// A tool returned it.
        ToolResult = "tool_result",
        /// Consolidation of several episodes.
        Consolidation = "consolidation",
        /// Revision of a recalled memory.
        Reconsolidation = "reconsolidation",
    }
}

string_enum! {
    /// Who speaks in a message.
    pub enum Role("role") {
        /// The person.
        User = "user",
        /// The language model or agent.
        Assistant = "assistant",
        /// Instructions of the host.
        System = "system",
        /// Output of a tool.
        Tool = "tool",
    }
}

string_enum! {
    /// What a fact is about. The last five are the kinds of constraint.
    pub enum FactCategory("category") {
        /// Name, age, nationality.
        Identity = "identity",
        /// Where somebody lives or is.
        Location = "location",
        /// Likes and dislikes.
        Preference = "preference",
        /// Family, friends, pets.
        Relationship = "relationship",
        /// Job, employer, studies.
        Occupation = "occupation",
        /// Birthdays, deadlines, appointments.
        Temporal = "temporal",
        /// Any other lasting property.
        Attribute = "attribute",
        /// Anything else.
        Custom = "custom",
        /// Constraint: something to be reached.
        Goal = "goal",
        /// Constraint: a condition such as an allergy or a budget.
        State = "state",
        /// Constraint: something that matters to the person.
        Value = "value",
        /// Constraint: a cause and its effect.
        Causal = "causal",
        /// Constraint: a rule to follow.
        Policy = "policy",
    }
}

impl FactCategory {
    /// Whether facts of this category are constraints.
    #[must_use]
    pub const fn is_constraint(self) -> bool {
        matches!(self, Self::Goal | Self::State | Self::Value | Self::Causal | Self::Policy)
    }
}

string_enum! {
    /// Whether a fact holds.
    pub enum FactStatus("fact_status") {
        /// It holds now.
        Current = "current",
        /// A newer value took its place.
        Superseded = "superseded",
        /// It was withdrawn without a successor.
        Retracted = "retracted",
    }
}

string_enum! {
    /// The operation that an event records.
    pub enum OperationType("operation") {
        /// A memory was written.
        Write = "write",
        /// A repeated text strengthened a memory.
        Reinforce = "reinforce",
        /// A memory or fact was changed in place.
        Update = "update",
        /// A newer statement ended an older one.
        Supersede = "supersede",
        /// A fact was withdrawn.
        Retract = "retract",
        /// Memories were archived, silenced or deleted on request.
        Forget = "forget",
        /// Every row of a subject was removed.
        Erase = "erase",
        /// A session was opened.
        CreateSession = "create_session",
        /// A session was cleared.
        ClearSession = "clear_session",
        /// Episodes became gists and facts.
        Consolidate = "consolidate",
        /// A recalled memory was revised.
        Reconsolidate = "reconsolidate",
        /// The forgetting policy ran.
        ForgettingRun = "forgetting_run",
        /// Vectors were made again with another model.
        Reembed = "reembed",
        /// Rows came in from an export.
        Import = "import",
    }
}

string_enum! {
    /// What an event happened to.
    pub enum EventType("event_type") {
        /// A memory.
        Memory = "memory",
        /// A fact or constraint.
        Fact = "fact",
        /// A session.
        Session = "session",
        /// A background job or maintenance run.
        Maintenance = "maintenance",
        /// A tenant as a whole.
        Tenant = "tenant",
    }
}

string_enum! {
    /// Where a background job stands.
    pub enum JobStatus("job_status") {
        /// Waits for a worker.
        Pending = "pending",
        /// A worker holds it.
        Running = "running",
        /// Done.
        Completed = "completed",
        /// Given up after its attempts.
        Failed = "failed",
    }
}

string_enum! {
    /// What a background job does.
    pub enum JobKind("job_type") {
        /// Extraction with a language model.
        Enrich = "enrich",
        /// Episodes to gists and facts.
        Consolidate = "consolidate",
        /// The forgetting policy.
        Forget = "forget",
        /// Revision of recalled memories.
        Reconsolidate = "reconsolidate",
        /// New vectors with another model.
        Reembed = "reembed",
    }
}
