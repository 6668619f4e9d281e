//! The nouns: what is kept, and its parts.

mod event;
mod fact;
pub(crate) mod filter;
mod kind;
mod record;
mod session;

pub use event::{Event, Job};
pub use fact::{Evidence, Fact};
pub use filter::MetadataFilter;
pub use kind::{
    EventType, FactCategory, FactStatus, JobKind, JobStatus, MemorySource, MemoryStatus, MemoryType,
    OperationType, Role,
};
pub use record::{MemoryDetail, MemoryItem, MemoryRecord, Metadata, RecordVersion};
pub use session::{Message, Session};
