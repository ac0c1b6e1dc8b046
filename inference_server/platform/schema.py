"""The tables, as steps from each version of them to the next. A step that was released is never edited: a new one is added.

`generation` counts the changes of desired state in the whole of the database, so that a name that was deleted and made
again never has an old one's number.
"""

from __future__ import annotations

_RESOURCE = """
    generation INTEGER NOT NULL UNIQUE,
    desired TEXT NOT NULL,
    deleting INTEGER NOT NULL DEFAULT 0 CHECK (deleting IN (0, 1)),
    observed TEXT NOT NULL DEFAULT '{}',
    observed_generation INTEGER NOT NULL DEFAULT 0 CHECK (observed_generation <= generation),
    created REAL NOT NULL,
    changed REAL NOT NULL
"""
_FIRST = (
    "CREATE TABLE sequence (last INTEGER NOT NULL)",
    "INSERT INTO sequence VALUES (0)",
    f"""CREATE TABLE endpoints (
    name TEXT PRIMARY KEY COLLATE NOCASE,
    epoch INTEGER NOT NULL DEFAULT 0, -- how often a server took it over; an older one writes no more
    {_RESOURCE})""",
    f"""CREATE TABLE deployments (
    endpoint TEXT NOT NULL COLLATE NOCASE REFERENCES endpoints (name) ON DELETE CASCADE,
    name TEXT NOT NULL COLLATE NOCASE,
    {_RESOURCE},
    PRIMARY KEY (endpoint, name))""",
    # Of names, not of rows: how a deletion went can be asked after it.
    """CREATE TABLE operations (
    id TEXT PRIMARY KEY,
    endpoint TEXT NOT NULL COLLATE NOCASE,
    deployment TEXT NOT NULL COLLATE NOCASE,
    kind TEXT NOT NULL,
    generation INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('InProgress', 'Succeeded', 'Failed', 'Canceled')),
    code TEXT NOT NULL DEFAULT '',
    message TEXT NOT NULL DEFAULT '',
    begun REAL NOT NULL,
    ended REAL)""",
    "CREATE INDEX operations_of ON operations (endpoint, deployment, generation)",
    """CREATE TABLE ports (
    port INTEGER PRIMARY KEY CHECK (port BETWEEN 1 AND 65535),
    endpoint TEXT UNIQUE COLLATE NOCASE REFERENCES endpoints (name) ON DELETE SET NULL)""",
    """CREATE TABLE assets (
    kind TEXT NOT NULL CHECK (kind IN ('model', 'environment')),
    registry TEXT NOT NULL, -- '': the workspace's own
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    number INTEGER NOT NULL UNIQUE, -- the order in which they were made
    content TEXT NOT NULL, -- a checksum of all that never changes
    facts TEXT NOT NULL, -- what never changes
    labels TEXT NOT NULL, -- what people may change: description, tags
    archived INTEGER NOT NULL DEFAULT 0 CHECK (archived IN (0, 1)),
    created REAL NOT NULL,
    created_by TEXT NOT NULL,
    PRIMARY KEY (kind, registry, name, version))""",
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (_FIRST,)
