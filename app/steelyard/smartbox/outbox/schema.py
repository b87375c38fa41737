"""The outbox's tables. The checks hold whatever the code above them does."""

SCHEMA_VERSION = 3
SCHEMA = """
CREATE TABLE tickets (
  id TEXT PRIMARY KEY,
  sequence INTEGER NOT NULL UNIQUE,
  alibi_offset INTEGER NOT NULL,
  alibi_hash BLOB NOT NULL,
  body TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('queued', 'sending', 'registered', 'refused')),
  transaction_hash TEXT,
  block_number INTEGER,
  problem TEXT,
  CHECK ((state = 'registered') = (transaction_hash IS NOT NULL AND block_number IS NOT NULL)),
  CHECK ((state = 'refused') = (problem IS NOT NULL))
) STRICT;
CREATE INDEX tickets_waiting ON tickets (sequence) WHERE state IN ('queued', 'sending');
CREATE INDEX tickets_state ON tickets (state);
CREATE TABLE samples (
  cell TEXT NOT NULL, time INTEGER NOT NULL, sequence INTEGER NOT NULL,
  ticket TEXT NOT NULL REFERENCES tickets (id),
  PRIMARY KEY (cell, time, sequence)
) STRICT, WITHOUT ROWID;
CREATE TABLE set_aside (
  weighbridge TEXT NOT NULL, time INTEGER NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL,
  PRIMARY KEY (weighbridge, time)
) STRICT, WITHOUT ROWID;
CREATE TABLE set_aside_samples (
  weighbridge TEXT NOT NULL, time INTEGER NOT NULL, cell TEXT NOT NULL,
  sequence INTEGER NOT NULL, raw TEXT NOT NULL,
  PRIMARY KEY (weighbridge, time, cell)
) STRICT, WITHOUT ROWID;
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
"""
# From version 1 to 2, and the last part of a new outbox: the open first passes of vehicles.
FIRST_PASSES = """
CREATE TABLE first_passes (
  vehicle TEXT PRIMARY KEY, gross INTEGER NOT NULL,
  ticket TEXT NOT NULL REFERENCES tickets (id)
) STRICT, WITHOUT ROWID
"""
# From version 2 to 3: refusals that were dismissed, tickets without a known time, corrections of
# these (alibi records of their own, kept as long as these), and every alibi record that is known.
VERSION_3 = """
CREATE TABLE dismissals (
  ticket TEXT PRIMARY KEY REFERENCES tickets (id), time INTEGER NOT NULL, reason TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE untimed (
  ticket TEXT PRIMARY KEY REFERENCES tickets (id), boot TEXT NOT NULL, uptime INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE corrections (
  sequence INTEGER PRIMARY KEY, alibi_offset INTEGER NOT NULL, alibi_hash BLOB NOT NULL,
  ticket TEXT NOT NULL, correction TEXT NOT NULL
) STRICT;
CREATE INDEX samples_ticket ON samples (ticket);
CREATE VIEW records AS
  SELECT sequence, alibi_hash, alibi_offset FROM tickets
  UNION ALL SELECT sequence, alibi_hash, alibi_offset FROM corrections
"""
# For reading one of version 1 or 2: the same names, in the connection only.
VERSION_3_BESIDE = """
CREATE TEMP TABLE dismissals (ticket TEXT, time INTEGER, reason TEXT);
CREATE TEMP TABLE untimed (ticket TEXT, boot TEXT, uptime INTEGER);
CREATE TEMP TABLE corrections (sequence INTEGER, ticket TEXT, correction TEXT);
CREATE TEMP VIEW records AS SELECT sequence, alibi_hash, alibi_offset FROM main.tickets
"""
