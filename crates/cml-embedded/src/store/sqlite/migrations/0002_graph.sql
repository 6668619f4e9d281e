-- `name_key`: the name as names are compared, in lower case and without white space around it.
ALTER TABLE entities ADD COLUMN name_key TEXT NOT NULL DEFAULT '';
CREATE INDEX entities_name ON entities (tenant_id, name_key);
CREATE INDEX edges_target ON edges (tenant_id, target);

INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('entities', 'entities_name', '100000 100000 2'),
    ('edges', 'edges_target', '100000 100000 5');
ANALYZE sqlite_schema;
