//! Search: text analysis, the in-memory index of a tenant, understanding of queries, ranking.
//!
//! [`TurnAnalysis`] turns a text into terms when it is written. [`TenantIndex`] holds the turns and records
//! of a tenant. [`QueryPlan`] reads a query, [`TenantIndex::search`] ranks: word and vector scores of the
//! visible turns, the best of both with their neighbours as candidates, a weighted sum of their
//! [`Features`]. Whether a hit is good enough to show is another question, answered by its relevance.

mod analysis;
mod categories;
mod dense;
mod features;
mod index;
mod lexical;
mod partition;
mod postings;
mod query;
mod rank;
mod relevance;
mod rows;
mod sessions;
mod soft;
mod statistics;
#[cfg(test)]
mod tests;
mod vectors;
mod view;
mod weights;

pub use analysis::{TextFlags, TurnAnalysis, stems};
pub use features::{COUNT as FEATURE_COUNT, Feature, Features};
pub use index::{IndexOptions, TenantIndex};
pub use query::{Answer, Asked, DatePart, MAX_TERMS, Profile, QueryContext, QueryPlan, QueryTerm};
pub use rank::{CANDIDATES, Hit, PREFERENCE, SMALL_SCOPE, SearchRequest, SearchResult};
pub use relevance::{DEFAULT_FLOOR, Evidence, QUOTATION, STRONG};
pub use rows::{IndexedRecord, RecordRow, TurnRow};
pub use soft::{NEIGHBOURS, Neighbour, SIMILAR, SoftLexicon};
pub use statistics::{CorpusStatistics, Counts, TermFrequency};
pub use view::NEIGHBOURHOOD;
pub use weights::Weights;
