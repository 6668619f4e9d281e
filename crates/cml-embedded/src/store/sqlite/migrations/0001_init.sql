-- Instants are microseconds since 1970 (UTC), ids 16-byte blobs, metadata and lists JSON text with
-- sorted keys, absent names empty strings, vectors IEEE 754 halves (little-endian).
--
-- Wide rows live in rowid tables: a table WITHOUT ROWID keeps at most about 1000 bytes of a row on its
-- page, and long texts and vectors would spill. Narrow rows are WITHOUT ROWID.

CREATE TABLE meta (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE models (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    dimensions INTEGER NOT NULL,
    max_tokens INTEGER NOT NULL,
    additive INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('serving', 'opened', 'closed'))
);
CREATE UNIQUE INDEX models_one_of_each ON models (state) WHERE state <> 'closed';

-- `kept_from`: changes up to this number are no longer listed.
CREATE TABLE tenants (
    tenant_id TEXT NOT NULL PRIMARY KEY,
    last_seq INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    kept_from INTEGER NOT NULL DEFAULT 0,
    settings TEXT NOT NULL DEFAULT '{}'
) WITHOUT ROWID;

CREATE TABLE sessions (
    tenant_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    namespace TEXT NOT NULL,
    user_id TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    participants TEXT NOT NULL,
    metadata TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER
);
CREATE UNIQUE INDEX sessions_id ON sessions (tenant_id, session_id);

CREATE TABLE messages (
    tenant_id TEXT NOT NULL,
    id BLOB NOT NULL,
    namespace TEXT NOT NULL,
    user_id TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    role TEXT NOT NULL,
    speaker TEXT NOT NULL,
    text TEXT NOT NULL,
    metadata TEXT NOT NULL,
    said_at INTEGER NOT NULL,
    turn_id TEXT NOT NULL,
    memory_id BLOB
);
CREATE UNIQUE INDEX messages_id ON messages (tenant_id, id);
CREATE UNIQUE INDEX messages_seq ON messages (tenant_id, session_id, seq);
CREATE INDEX messages_turn ON messages (tenant_id, session_id, turn_id) WHERE turn_id <> '';

-- `dedup`: digest of what makes two texts the same, on the first chunk of a text.
CREATE TABLE records (
    tenant_id TEXT NOT NULL,
    id BLOB NOT NULL,
    namespace TEXT NOT NULL,
    user_id TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    text TEXT NOT NULL,
    memory_type TEXT NOT NULL,
    status TEXT NOT NULL,
    key TEXT,
    tags TEXT NOT NULL,
    metadata TEXT NOT NULL,
    confidence REAL NOT NULL,
    importance REAL NOT NULL,
    decay_rate REAL NOT NULL,
    access_count INTEGER NOT NULL,
    last_accessed_at INTEGER,
    said_at INTEGER NOT NULL,
    event_start INTEGER,
    event_end INTEGER,
    written_at INTEGER NOT NULL,
    valid_from INTEGER,
    valid_to INTEGER,
    expires_at INTEGER,
    source TEXT NOT NULL,
    role TEXT NOT NULL,
    speaker TEXT NOT NULL,
    message_id BLOB NOT NULL,
    chunk_index INTEGER NOT NULL,
    content_hash BLOB NOT NULL,
    version INTEGER NOT NULL,
    supersedes_id BLOB,
    superseded_by_id BLOB,
    dedup BLOB
);
CREATE UNIQUE INDEX records_id ON records (tenant_id, id);
CREATE INDEX records_message ON records (tenant_id, message_id, chunk_index);
CREATE INDEX records_written ON records (tenant_id, written_at, id);
CREATE INDEX records_dedup ON records (tenant_id, dedup, id) WHERE dedup IS NOT NULL;
CREATE UNIQUE INDEX records_key ON records (tenant_id, namespace, user_id, key) WHERE key IS NOT NULL;
CREATE INDEX records_supersedes ON records (tenant_id, supersedes_id) WHERE supersedes_id IS NOT NULL;
CREATE INDEX records_superseded ON records (tenant_id, superseded_by_id) WHERE superseded_by_id IS NOT NULL;

-- The whole former row of a record; `recorded_at` is when the next version replaced it.
CREATE TABLE record_versions (
    tenant_id TEXT NOT NULL,
    id BLOB NOT NULL,
    namespace TEXT NOT NULL,
    user_id TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    text TEXT NOT NULL,
    memory_type TEXT NOT NULL,
    status TEXT NOT NULL,
    key TEXT,
    tags TEXT NOT NULL,
    metadata TEXT NOT NULL,
    confidence REAL NOT NULL,
    importance REAL NOT NULL,
    decay_rate REAL NOT NULL,
    access_count INTEGER NOT NULL,
    last_accessed_at INTEGER,
    said_at INTEGER NOT NULL,
    event_start INTEGER,
    event_end INTEGER,
    written_at INTEGER NOT NULL,
    valid_from INTEGER,
    valid_to INTEGER,
    expires_at INTEGER,
    source TEXT NOT NULL,
    role TEXT NOT NULL,
    speaker TEXT NOT NULL,
    message_id BLOB NOT NULL,
    chunk_index INTEGER NOT NULL,
    content_hash BLOB NOT NULL,
    version INTEGER NOT NULL,
    supersedes_id BLOB,
    superseded_by_id BLOB,
    recorded_at INTEGER NOT NULL
);
CREATE UNIQUE INDEX record_versions_id ON record_versions (tenant_id, id, version);

-- One row per turn: a message, or a memory without a session. There is no full-text table beside it:
-- candidates come from the index in memory, which is built from these rows.
CREATE TABLE terms (
    tenant_id TEXT NOT NULL,
    id BLOB NOT NULL,
    namespace TEXT NOT NULL,
    user_id TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    role TEXT NOT NULL,
    speaker TEXT NOT NULL,
    said_at INTEGER NOT NULL,
    terms TEXT NOT NULL,
    length INTEGER NOT NULL,
    flags INTEGER NOT NULL
);
CREATE UNIQUE INDEX terms_id ON terms (tenant_id, id);

-- `view`: 0 the record's own text, 1 the message before it and the text.
CREATE TABLE embeddings (
    tenant_id TEXT NOT NULL,
    record_id BLOB NOT NULL,
    model_id INTEGER NOT NULL,
    view INTEGER NOT NULL,
    norm REAL NOT NULL,
    vector BLOB NOT NULL
);
CREATE UNIQUE INDEX embeddings_id ON embeddings (tenant_id, model_id, view, record_id);

CREATE TABLE facts (
    tenant_id TEXT NOT NULL,
    id BLOB NOT NULL,
    namespace TEXT NOT NULL,
    user_id TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    subject TEXT NOT NULL,
    predicate TEXT NOT NULL,
    value TEXT NOT NULL,
    category TEXT NOT NULL,
    slot TEXT NOT NULL,
    situations TEXT NOT NULL,
    confidence REAL NOT NULL,
    source TEXT NOT NULL,
    status TEXT NOT NULL,
    valid_from INTEGER NOT NULL,
    valid_to INTEGER,
    recorded_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    supersedes_id BLOB,
    superseded_by_id BLOB
);
CREATE UNIQUE INDEX facts_id ON facts (tenant_id, id);
CREATE INDEX facts_slot ON facts (tenant_id, namespace, user_id, subject, slot) WHERE status = 'current' AND slot <> '';
CREATE INDEX facts_supersedes ON facts (tenant_id, supersedes_id) WHERE supersedes_id IS NOT NULL;
CREATE INDEX facts_superseded ON facts (tenant_id, superseded_by_id) WHERE superseded_by_id IS NOT NULL;

-- The whole former row of a fact; `replaced_at` is when the next version replaced it.
CREATE TABLE fact_versions (
    tenant_id TEXT NOT NULL,
    id BLOB NOT NULL,
    namespace TEXT NOT NULL,
    user_id TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    subject TEXT NOT NULL,
    predicate TEXT NOT NULL,
    value TEXT NOT NULL,
    category TEXT NOT NULL,
    slot TEXT NOT NULL,
    situations TEXT NOT NULL,
    confidence REAL NOT NULL,
    source TEXT NOT NULL,
    status TEXT NOT NULL,
    valid_from INTEGER NOT NULL,
    valid_to INTEGER,
    recorded_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    supersedes_id BLOB,
    superseded_by_id BLOB,
    replaced_at INTEGER NOT NULL
);
CREATE UNIQUE INDEX fact_versions_id ON fact_versions (tenant_id, id, version, replaced_at);

-- `kind`: 0 a record, 1 a message.
CREATE TABLE fact_evidence (
    tenant_id TEXT NOT NULL,
    fact_id BLOB NOT NULL,
    kind INTEGER NOT NULL,
    target_id BLOB NOT NULL,
    PRIMARY KEY (tenant_id, fact_id, kind, target_id)
) WITHOUT ROWID;
CREATE INDEX fact_evidence_target ON fact_evidence (tenant_id, target_id);

CREATE TABLE entities (
    tenant_id TEXT NOT NULL,
    id BLOB NOT NULL,
    namespace TEXT NOT NULL,
    user_id TEXT NOT NULL,
    name TEXT NOT NULL,
    entity_type TEXT NOT NULL,
    PRIMARY KEY (tenant_id, id)
) WITHOUT ROWID;

CREATE TABLE mentions (
    tenant_id TEXT NOT NULL,
    entity_id BLOB NOT NULL,
    memory_id BLOB NOT NULL,
    message_id BLOB NOT NULL,
    PRIMARY KEY (tenant_id, entity_id, memory_id)
) WITHOUT ROWID;
CREATE INDEX mentions_memory ON mentions (tenant_id, memory_id);

CREATE TABLE edges (
    tenant_id TEXT NOT NULL,
    source BLOB NOT NULL,
    target BLOB NOT NULL,
    predicate TEXT NOT NULL,
    confidence REAL NOT NULL,
    PRIMARY KEY (tenant_id, source, target, predicate)
) WITHOUT ROWID;

-- `kind`: 0 a record, 1 a turn, 2 a fact was put or removed.
CREATE TABLE changes (
    tenant_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    id BLOB NOT NULL,
    PRIMARY KEY (tenant_id, seq)
) WITHOUT ROWID;

-- `memory_ids`: 16 bytes each, one after the other.
CREATE TABLE events (
    tenant_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    id BLOB NOT NULL,
    namespace TEXT NOT NULL,
    user_id TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    event_type TEXT NOT NULL,
    operation TEXT NOT NULL,
    payload TEXT NOT NULL,
    memory_ids BLOB NOT NULL,
    PRIMARY KEY (tenant_id, created_at, id)
) WITHOUT ROWID;

CREATE TABLE jobs (
    tenant_id TEXT NOT NULL,
    id BLOB NOT NULL,
    namespace TEXT NOT NULL,
    user_id TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    job_type TEXT NOT NULL,
    status TEXT NOT NULL,
    dry_run INTEGER NOT NULL,
    progress REAL NOT NULL,
    attempts INTEGER NOT NULL,
    result TEXT,
    error TEXT,
    lease_token BLOB,
    leased_until INTEGER,
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    completed_at INTEGER
);
CREATE UNIQUE INDEX jobs_id ON jobs (tenant_id, id);

CREATE TABLE outbox (
    tenant_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    id BLOB NOT NULL,
    PRIMARY KEY (tenant_id, seq)
) WITHOUT ROWID;

-- `request`: digest of the request; `answer` holds ids, never text.
CREATE TABLE idempotency (
    tenant_id TEXT NOT NULL,
    key TEXT NOT NULL,
    namespace TEXT NOT NULL,
    user_id TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    request BLOB NOT NULL,
    answer TEXT NOT NULL,
    expires_at INTEGER NOT NULL
);
CREATE UNIQUE INDEX idempotency_key ON idempotency (tenant_id, key);
CREATE INDEX idempotency_expiry ON idempotency (tenant_id, expires_at);

-- `digest`: first 16 bytes of the SHA-256 of the table's name and the id.
CREATE TABLE tombstones (
    tenant_id TEXT NOT NULL,
    digest BLOB NOT NULL,
    PRIMARY KEY (tenant_id, digest)
) WITHOUT ROWID;

-- What the planner is to expect: many rows of few tenants. Without these numbers it takes the equality
-- on `tenant_id`, with which every key begins, for selective, and starts a join with the whole tenant.
ANALYZE sqlite_schema;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('sessions', 'sessions_id', '10000 10000 1'),
    ('messages', 'messages_id', '1000000 1000000 1'),
    ('messages', 'messages_seq', '1000000 1000000 100 1'),
    ('messages', 'messages_turn', '1000000 1000000 100 2'),
    ('records', 'records_id', '1000000 1000000 1'),
    ('records', 'records_message', '1000000 1000000 2 1'),
    ('records', 'records_written', '1000000 1000000 10 1'),
    ('records', 'records_dedup', '1000000 1000000 2 1'),
    ('records', 'records_key', '1000000 1000000 100000 10000 1'),
    ('records', 'records_supersedes', '10000 10000 2'),
    ('records', 'records_superseded', '10000 10000 2'),
    ('record_versions', 'record_versions_id', '100000 100000 2 1'),
    ('terms', 'terms_id', '1000000 1000000 1'),
    ('embeddings', 'embeddings_id', '1000000 1000000 1000000 1000000 1'),
    ('facts', 'facts_id', '100000 100000 1'),
    ('facts', 'facts_slot', '100000 100000 10000 1000 100 2'),
    ('facts', 'facts_supersedes', '10000 10000 2'),
    ('facts', 'facts_superseded', '10000 10000 2'),
    ('fact_versions', 'fact_versions_id', '10000 10000 2 1 1'),
    ('fact_evidence', 'fact_evidence_target', '100000 100000 2'),
    ('mentions', 'mentions_memory', '1000000 1000000 3'),
    ('jobs', 'jobs_id', '1000 1000 1'),
    ('idempotency', 'idempotency_key', '100000 100000 1'),
    ('idempotency', 'idempotency_expiry', '100000 100000 2'),
    ('fact_evidence', 'fact_evidence', '100000 100000 2 2 1'),
    ('entities', 'entities', '100000 100000 1'),
    ('mentions', 'mentions', '1000000 1000000 10 1'),
    ('edges', 'edges', '100000 100000 5 2 1'),
    ('changes', 'changes', '200000 200000 1'),
    ('events', 'events', '1000000 1000000 2 1'),
    ('tombstones', 'tombstones', '100000 100000 1');
ANALYZE sqlite_schema;
