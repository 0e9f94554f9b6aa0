-- The first schema: tenants, inbox, catalogue, campaigns, imports, grants, jobs, audit.
--
-- Rules that hold for every table:
-- * `tenant` (a small number) leads each key; a reference never leaves its tenant.
-- * Instants are whole milliseconds since 1970-01-01T00:00:00Z. Types are INTEGER, TEXT and BLOB only.
-- * Numbers that make rows narrow (`no`, `offer`, `eligibility_window`) are counted per tenant inside
--   the transaction that needs them; nothing depends on a database sequence or a trigger.

-- One Optimove client.
CREATE TABLE tenant (
    id           TEXT    NOT NULL PRIMARY KEY,          -- slug, chosen by the operator
    no           INTEGER NOT NULL UNIQUE,               -- leads the keys of all other tables
    name         TEXT    NOT NULL,
    time_zone    TEXT    NOT NULL,                      -- IANA name
    zone_data    TEXT    NOT NULL,                      -- release of the zone data that windows to come stand by
    base_url     TEXT    NOT NULL,                      -- Optimove's API for this client
    auth_kind    TEXT    NOT NULL CHECK (auth_kind IN ('api_key', 'login')),
    credential   BLOB    NOT NULL,                      -- sealed; never in the clear
    settings     TEXT    NOT NULL,                      -- JSON: channels, expiry, defaults, limits
    created_at   INTEGER NOT NULL,
    suspended_at INTEGER                                -- work pauses, the listener keeps storing
);

-- The secret address of one tenant and event type. Only a hash of the secret is kept.
CREATE TABLE listener (
    tenant      INTEGER NOT NULL,
    event_type  INTEGER NOT NULL,                       -- Optimove's number of the event
    generation  INTEGER NOT NULL,                       -- rises with every rotation
    secret_hash BLOB    NOT NULL UNIQUE,
    created_at  INTEGER NOT NULL,
    retired_at  INTEGER,                                -- no longer accepted from then on
    PRIMARY KEY (tenant, event_type, generation)
) WITHOUT ROWID;

-- Bearer tokens of the HTTP API.
CREATE TABLE api_token (
    id          TEXT    NOT NULL PRIMARY KEY,
    secret_hash BLOB    NOT NULL UNIQUE,
    name        TEXT    NOT NULL,
    role        TEXT    NOT NULL CHECK (role IN ('viewer', 'operator', 'approver', 'admin', 'auditor')),
    tenant      INTEGER,                                -- NULL: every tenant
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    revoked_at  INTEGER
) WITHOUT ROWID;

-- The inbox: every notification that was answered 2xx.
CREATE TABLE notification (
    tenant      INTEGER NOT NULL,
    id          TEXT    NOT NULL,                       -- time-ordered
    event_type  INTEGER NOT NULL,                       -- from the address it came to
    identity    TEXT    NOT NULL,                       -- what makes a repeat a repeat
    campaign    TEXT,                                   -- as read from the body, if readable
    channel     INTEGER,                                -- NULL: none named
    received_at INTEGER NOT NULL,
    arrivals    INTEGER NOT NULL DEFAULT 1 CHECK (arrivals >= 1),
    status      TEXT    NOT NULL DEFAULT 'waiting' CHECK (status IN ('waiting', 'done', 'superseded', 'held')),
    reason      TEXT,                                   -- why held or superseded
    done_at     INTEGER,
    body        BLOB    NOT NULL,                       -- as it came
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, identity)
) WITHOUT ROWID;
-- The status stands in front, although it is always the same, so that the planner prefers it to the primary key.
CREATE INDEX notification_waiting ON notification (status, tenant, id) WHERE status = 'waiting';
CREATE INDEX notification_held ON notification (id) WHERE status = 'held';
CREATE INDEX notification_cancel ON notification (id) WHERE status = 'waiting' AND event_type = 4;

-- The catalogue: our promotions, the source of Optimove's list.
CREATE TABLE promotion (
    tenant      INTEGER NOT NULL,
    code_fold   TEXT    NOT NULL,                       -- the code, folded: what compares
    code        TEXT    NOT NULL,                       -- first spelling
    name        TEXT    NOT NULL,
    status      TEXT    NOT NULL CHECK (status IN ('draft', 'active', 'paused', 'archived', 'stopped')),
    kind        TEXT    NOT NULL CHECK (kind IN ('shared', 'unique')),
    reward      TEXT    NOT NULL,                       -- JSON
    limits      TEXT    NOT NULL,                       -- JSON
    metadata    TEXT    NOT NULL,                       -- JSON
    version     INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    validity_days INTEGER,                              -- days that a triggered grant lasts; NULL: the trigger or the tenant says
    fallback_code TEXT,                                 -- what everybody gets once a pool of unique codes is empty
    synced_name TEXT,                                   -- the name on which Optimove's list and ours last agreed; NULL: never
    added_there INTEGER NOT NULL DEFAULT 0 CHECK (added_there IN (0, 1)), -- we put the code into Optimove's list, so we may delete it
    resumes_as  TEXT CHECK (resumes_as IN ('draft', 'active', 'paused', 'archived')), -- of one that is stopped: its status once it goes on
    stop_reason TEXT,                                   -- of one that is stopped: for people
    PRIMARY KEY (tenant, code_fold),
    CHECK ((status = 'stopped') = (resumes_as IS NOT NULL))
) WITHOUT ROWID;

-- The terms of a promotion, each time they changed. Only ever added to.
CREATE TABLE promotion_version (
    tenant    INTEGER NOT NULL,
    code_fold TEXT    NOT NULL,                         -- promotion.code_fold
    version   INTEGER NOT NULL,                         -- promotion.version
    made_at   INTEGER NOT NULL,                         -- grants that came from then on are made under it
    status    TEXT    NOT NULL,                         -- promotion.status that came with it
    document  TEXT    NOT NULL,                         -- JSON: everything else that was said
    made_by   TEXT    NOT NULL,                         -- who
    PRIMARY KEY (tenant, code_fold, version)
) WITHOUT ROWID;

-- One occurrence of a campaign at Optimove.
CREATE TABLE campaign (
    tenant           INTEGER NOT NULL,
    id               TEXT    NOT NULL,                  -- Optimove's campaign id, as text
    no               INTEGER NOT NULL,
    kind             TEXT CHECK (kind IN ('scheduled', 'conditional', 'triggered')), -- NULL: nobody said yet, only a cancel was heard of
    first_seen_at    INTEGER NOT NULL,
    seen_by          TEXT    NOT NULL,                  -- notification, sweep or operator
    details_version  INTEGER NOT NULL DEFAULT 0,        -- 0: not read yet
    duration_days    INTEGER,                           -- as applied
    lead_time_days   INTEGER,
    duration_source  TEXT,                              -- campaign, or which default and why
    expected_size    INTEGER,                           -- TestGroupSize, if told
    details_channels TEXT,                              -- JSON list of channel numbers, if told
    size_approved_at INTEGER,                           -- an operator let an odd size pass
    merged_through   INTEGER NOT NULL DEFAULT 0,        -- landed pages up to this one are grants
    merge_to         INTEGER,                           -- a merge is under way up to this page
    merge_cursor     TEXT,                              -- the last customer merged in it, folded
    merge_customers  INTEGER NOT NULL DEFAULT 0,        -- distinct customers seen by it so far
    customers        INTEGER,                           -- distinct customers when last merged whole
    windows_end_at   INTEGER,                           -- latest end of its eligibility windows
    sent             INTEGER NOT NULL DEFAULT 0,        -- grants of clearance rounds whose customers were sent to
    ended            INTEGER NOT NULL DEFAULT 0,        -- grants that Optimove's daily list has ended
    suspended_at     INTEGER,
    suspended_by     TEXT CHECK (suspended_by IN ('cancel', 'operator')), -- who may lift it: the cancel's own check lifts no person's
    revoked_at       INTEGER,
    stop_reason      TEXT,
    last_error       TEXT,
    last_error_at    INTEGER,
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, no)
) WITHOUT ROWID;

-- What Optimove said of a campaign, each time it said something new.
CREATE TABLE campaign_details (
    tenant   INTEGER NOT NULL,
    campaign INTEGER NOT NULL,                          -- campaign.no
    version  INTEGER NOT NULL,
    read_at  INTEGER NOT NULL,
    document TEXT    NOT NULL,                          -- the answer as read
    PRIMARY KEY (tenant, campaign, version)
) WITHOUT ROWID;

-- Counters of a campaign: rows, rows_without_code, pairs, granted, repeated, held:REASON, refused:REASON.
CREATE TABLE campaign_count (
    tenant   INTEGER NOT NULL,
    campaign INTEGER NOT NULL,
    counter  TEXT    NOT NULL,
    n        INTEGER NOT NULL,
    PRIMARY KEY (tenant, campaign, counter)
) WITHOUT ROWID;

-- The reading of one campaign on one channel.
CREATE TABLE import (
    tenant          INTEGER NOT NULL,
    campaign        INTEGER NOT NULL,
    channel         INTEGER NOT NULL,                   -- 0: every channel in one list; -N: processed list of clearance round N
    state           TEXT    NOT NULL CHECK (state IN ('wanted', 'reading', 'read', 'done', 'held')),
    hold_reason     TEXT,
    wanted_at       INTEGER NOT NULL,
    pass            INTEGER NOT NULL DEFAULT 1,         -- 1 lands; later ones confirm
    page_rows       INTEGER NOT NULL DEFAULT 0,         -- page size asked for in this pass
    skip            INTEGER NOT NULL DEFAULT 0,         -- page cursor: rows received in this pass
    rows            INTEGER NOT NULL DEFAULT 0,         -- rows of the first pass
    pass_from_page  INTEGER NOT NULL DEFAULT 0,         -- first landed page of this pass
    pass_added      INTEGER NOT NULL DEFAULT 0,         -- pairs that this pass brought and earlier ones had not
    done_at         INTEGER,
    PRIMARY KEY (tenant, campaign, channel)
) WITHOUT ROWID;

-- A part of a list that is read apart from the others, by whichever process comes first. Gone with its pass.
CREATE TABLE page_range (
    tenant   INTEGER NOT NULL,
    campaign INTEGER NOT NULL,
    channel  INTEGER NOT NULL,                          -- as in its import
    first    INTEGER NOT NULL,                          -- its first row, from 0
    skip     INTEGER NOT NULL,                          -- rows before the next page
    until    INTEGER,                                   -- the first row behind it; NULL: to the end of the list
    state    TEXT    NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'read')),
    PRIMARY KEY (tenant, campaign, channel, first)
) WITHOUT ROWID;

-- A page as received: its counts and digest stay for ever, whatever became of the rows.
CREATE TABLE landed_page (
    tenant            INTEGER NOT NULL,
    campaign          INTEGER NOT NULL,
    page              INTEGER NOT NULL,                 -- counted per campaign, over channels and passes
    channel           INTEGER NOT NULL,
    pass              INTEGER NOT NULL,
    skip              INTEGER NOT NULL,                 -- rows of the list before this page
    rows              INTEGER NOT NULL,
    rows_without_code INTEGER NOT NULL,
    pairs             INTEGER NOT NULL,
    customers         INTEGER NOT NULL,                 -- distinct within the page
    digest            BLOB    NOT NULL,                 -- SHA-256 of the body
    landed_at         INTEGER NOT NULL,
    PRIMARY KEY (tenant, campaign, page)
) WITHOUT ROWID;

-- The rows of a page, sorted by customer and packed: the campaign's own record of who was listed.
CREATE TABLE landed_block (
    tenant        INTEGER NOT NULL,
    campaign      INTEGER NOT NULL,
    page          INTEGER NOT NULL,
    block         INTEGER NOT NULL,
    last_fold     TEXT    NOT NULL,                     -- the last customer in it, folded
    body          BLOB    NOT NULL,
    PRIMARY KEY (tenant, campaign, page, block)
);

-- Rows that name nobody: kept with their reason until released.
CREATE TABLE held_row (
    tenant      INTEGER NOT NULL,
    campaign    INTEGER NOT NULL,
    page        INTEGER NOT NULL,
    row         INTEGER NOT NULL,                       -- place within the page
    reason      TEXT    NOT NULL,
    pairs       INTEGER NOT NULL,
    extract     TEXT    NOT NULL,                       -- a short piece of the row
    released_at INTEGER,
    PRIMARY KEY (tenant, campaign, page, row)
) WITHOUT ROWID;

-- One promo code of one campaign. Its grants point here.
CREATE TABLE offer (
    tenant    INTEGER NOT NULL,
    no        INTEGER NOT NULL,
    campaign  INTEGER NOT NULL,
    code_fold TEXT    NOT NULL,
    code      TEXT    NOT NULL,                         -- as the campaign spells it first
    hold_reason TEXT,                                   -- why its pairs are held; NULL: they are granted
    released_in_part INTEGER NOT NULL DEFAULT 0,                       -- 1: of the pairs it holds the ledger has some
    PRIMARY KEY (tenant, no),
    UNIQUE (tenant, campaign, code_fold)
) WITHOUT ROWID;

-- An eligibility window with the action and channel that gave it. Kept once, shared by its grants.
CREATE TABLE eligibility_window (
    tenant    INTEGER NOT NULL,
    no        INTEGER NOT NULL,
    campaign  INTEGER NOT NULL,
    starts_at INTEGER NOT NULL,
    ends_at   INTEGER,                                  -- exclusive; NULL: ended by the daily list
    action    INTEGER NOT NULL,                         -- 0: not told
    channel   INTEGER NOT NULL,                         -- 0: not told
    starts_wall INTEGER,                                -- the clock on the wall at the start, as if it were UTC; NULL: an instant of its own
    ends_wall INTEGER,                                  -- likewise at the end
    moved_at  INTEGER,                                  -- reckoned again by newer zone data
    PRIMARY KEY (tenant, no),
    CHECK (ends_at IS NULL OR ends_at >= starts_at)
) WITHOUT ROWID;
-- No unique key: windows that newer zone data moved may come to the same. They are made one at a time.
CREATE INDEX eligibility_window_terms
    ON eligibility_window (tenant, campaign, starts_at);

-- The ledger: one row, one promise. The key is the identity of a grant.
CREATE TABLE grants (
    tenant        INTEGER NOT NULL,
    customer      TEXT    NOT NULL,
    offer         INTEGER NOT NULL,
    occurrence    TEXT    NOT NULL,                     -- '' unless triggered
    window_no     INTEGER NOT NULL,                     -- eligibility_window.no
    page          INTEGER NOT NULL,                     -- the landed page that gave its window: a clearance round's until the execution is told; 0: a trigger's, or Optimove refused its customer's approval
    code          INTEGER NOT NULL DEFAULT 0,           -- pool_code.no of its unique code; 0: none; -1: the fallback code
    redeemed      INTEGER,                              -- redemptions, reversed ones taken off; NULL: none
    spent         INTEGER CHECK (spent = 1),            -- 1: nothing is left of it; NULL: something is
    pledged_until INTEGER,                              -- in a cart, which lapses then; NULL: in none
    PRIMARY KEY (tenant, customer, offer, occurrence)
) WITHOUT ROWID;

-- Work to be done, claimed by lease. A finished job leaves the table.
CREATE TABLE job (
    tenant      INTEGER NOT NULL,
    kind        TEXT    NOT NULL,
    key         TEXT    NOT NULL,                       -- one job per kind and key
    run_at      INTEGER NOT NULL,
    attempts    INTEGER NOT NULL DEFAULT 0,
    lease_token INTEGER NOT NULL DEFAULT 0,             -- of the newest claim; rises
    lease_until INTEGER,                                -- NULL: not claimed
    lease_node  INTEGER,                                -- the process that holds it; NULL: nobody said
    again       INTEGER NOT NULL DEFAULT 0 CHECK (again IN (0, 1)), -- asked for once more while claimed
    last_error  TEXT,
    correlation TEXT,                                   -- what it was asked for because of; NULL: nobody said
    PRIMARY KEY (tenant, kind, key)
) WITHOUT ROWID;
CREATE INDEX job_due ON job (run_at);
CREATE INDEX job_turn ON job (tenant, run_at);
CREATE INDEX job_kind ON job (kind, run_at);

-- Calls that one process may make to Optimove: all of them together stay below its limit. Only where several
-- processes share a database. Times of this table and the next are the database's own.
CREATE TABLE call_slice (
    credential BLOB    NOT NULL,                        -- hash of a credential and of where it is used: what Optimove counts by
    no         INTEGER NOT NULL,
    node       INTEGER NOT NULL,                        -- the process
    calls      INTEGER NOT NULL,                        -- how many; once ended, how many were made
    ends_at    INTEGER,                                 -- counts until then; NULL: the process may still make some
    PRIMARY KEY (credential, no)
) WITHOUT ROWID;

-- The session that all processes with one credential use, and whose turn it is to log in.
CREATE TABLE optimove_session (
    credential      BLOB    NOT NULL PRIMARY KEY,       -- as above
    token           BLOB,                               -- sealed
    turn            INTEGER NOT NULL DEFAULT 0,         -- number of the newest turn
    turn_of         INTEGER,                            -- the process that logs in; NULL: nobody does
    ended_at        INTEGER NOT NULL DEFAULT 0,         -- of the newest login
    refused_until   INTEGER NOT NULL DEFAULT 0,         -- nobody logs in before, since the credential was refused
    refused_status  INTEGER,                            -- what the server answered then
    refused_message TEXT                                -- and said
) WITHOUT ROWID;

-- Counts claims, so that no token is ever given twice.
CREATE TABLE lease_count (
    tenant INTEGER NOT NULL PRIMARY KEY,
    claims INTEGER NOT NULL                             -- so far; the newest lease's token
) WITHOUT ROWID;

-- A tenant whose work rests, since Optimove refused it or could not be reached. Goes with the first success.
CREATE TABLE tenant_rest (
    tenant   INTEGER NOT NULL PRIMARY KEY,
    since    INTEGER NOT NULL,                          -- of the first failure in a row
    until    INTEGER NOT NULL,                          -- no job of the tenant starts before
    failures INTEGER NOT NULL,                          -- rests in a row
    reason   TEXT    NOT NULL                           -- what the newest failure said
) WITHOUT ROWID;

-- Who did what, when and why. Only ever added to.
CREATE TABLE audit (
    tenant      INTEGER NOT NULL,                       -- 0: the deployment itself
    seq         INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    actor       TEXT    NOT NULL,
    action      TEXT    NOT NULL,
    object      TEXT    NOT NULL,
    detail      TEXT    NOT NULL,                       -- JSON: before, after, counts, digests
    correlation TEXT,
    PRIMARY KEY (tenant, seq)
) WITHOUT ROWID;

-- What the records were at a moment: signed, so that whoever changes records later cannot say they always were so.
CREATE TABLE audit_checkpoint (
    tenant    INTEGER NOT NULL,                         -- 0: the deployment itself
    seq       INTEGER NOT NULL,                         -- audit.seq of the newest record that it covers
    at        INTEGER NOT NULL,                         -- when it was signed
    head      BLOB    NOT NULL,                         -- SHA-256 over all records up to it, each hashed with what came before
    key       BLOB    NOT NULL,                         -- Ed25519, public
    signature BLOB    NOT NULL,                         -- of tenant, seq, at and head
    PRIMARY KEY (tenant, seq)
) WITHOUT ROWID;

-- Differences between us and Optimove, shown until somebody settles them.
CREATE TABLE finding (
    tenant      INTEGER NOT NULL,
    kind        TEXT    NOT NULL,
    object      TEXT    NOT NULL,                       -- one open finding per kind and object
    detail      TEXT    NOT NULL,
    found_at    INTEGER NOT NULL,
    seen_at     INTEGER NOT NULL,
    resolved_at INTEGER,
    PRIMARY KEY (tenant, kind, object)
) WITHOUT ROWID;

-- What became of a cancellation notice (event 4): whether Optimove's own lists bear it out.
CREATE TABLE cancellation (
    tenant      INTEGER NOT NULL,
    campaign    INTEGER NOT NULL,
    notified_at INTEGER NOT NULL,                       -- when we took event 4 in; Optimove keeps the list for two hours from about then
    state       TEXT    NOT NULL CHECK (state IN ('asking', 'confirmed', 'contradicted', 'unconfirmed', 'overruled')),
    doubt       TEXT    CHECK (doubt IN ('contradicts', 'cannot_tell')), -- what the first look was worth; NULL: none yet
    rows        INTEGER NOT NULL DEFAULT 0,             -- rows of Optimove's list of cancelled customers
    listed      INTEGER NOT NULL DEFAULT 0,             -- distinct pairs in it
    not_ours    INTEGER NOT NULL DEFAULT 0,             -- listed pairs without a grant here
    not_listed  INTEGER NOT NULL DEFAULT 0,             -- grants here that it does not list
    settled_at  INTEGER,                                -- NULL: still asking, or still comparing the list
    PRIMARY KEY (tenant, campaign)
) WITHOUT ROWID;

-- What a campaign would give, weighed before anything of it is granted. Only campaigns that have bounds, or that somebody asked about.
CREATE TABLE campaign_guard (
    tenant      INTEGER NOT NULL,
    campaign    INTEGER NOT NULL,                       -- campaign.no
    state       TEXT    NOT NULL CHECK (state IN ('asked', 'passed', 'held', 'approved', 'refused')), -- asked: somebody wants to see it before it is granted
    asked_by    TEXT,                                   -- who
    run_of      TEXT,                                   -- what its runs have in common; NULL: not told
    customers   INTEGER NOT NULL DEFAULT 0,             -- distinct customers when last weighed
    figures     TEXT,                                   -- JSON: what it would give; NULL: not weighed yet
    beyond      TEXT,                                   -- JSON: the bounds that it is beyond
    weighed_at  INTEGER,                                -- when that was found
    approved    TEXT,                                   -- JSON: the figures that somebody approved; NULL: none
    decided_by  TEXT,                                   -- who approved or refused
    decided_at  INTEGER,                                -- when
    reason      TEXT,                                   -- of the decision, for people
    PRIMARY KEY (tenant, campaign)
) WITHOUT ROWID;
CREATE INDEX campaign_guard_run ON campaign_guard (tenant, run_of, campaign) WHERE run_of IS NOT NULL;

-- Optimove's daily list of ended actions: how far each day's list is read.
CREATE TABLE ended_day (
    tenant      INTEGER NOT NULL,
    day         TEXT    NOT NULL,                       -- the date asked for, YYYY-MM-DD in the tenant's zone
    state       TEXT    NOT NULL CHECK (state IN ('wanted', 'reading', 'read', 'done')), -- read: while the day went on; done: after it
    wanted_at   INTEGER NOT NULL,
    skip        INTEGER NOT NULL DEFAULT 0,             -- page cursor: rows received in this reading
    rows        INTEGER NOT NULL DEFAULT 0,             -- rows of the newest reading
    ended       INTEGER NOT NULL DEFAULT 0,             -- grants that it ended, over all readings
    archived    INTEGER NOT NULL DEFAULT 0,             -- of them, those that are in archives
    unmatched   INTEGER NOT NULL DEFAULT 0,             -- rows of the newest reading that fit no grant of ours
    begun_at    INTEGER,                                -- of the newest reading, however often it was taken up again
    done_at     INTEGER,
    PRIMARY KEY (tenant, day)
) WITHOUT ROWID;

-- Grants that the daily list ended. Kept for tenants that expire by it only.
CREATE TABLE grant_end (
    tenant     INTEGER NOT NULL,
    customer   TEXT    NOT NULL,
    offer      INTEGER NOT NULL,
    occurrence TEXT    NOT NULL,                        -- as in grants
    ended_at   INTEGER NOT NULL,                        -- exclusive end that the list gave
    day        TEXT    NOT NULL,                        -- ended_day.day
    PRIMARY KEY (tenant, customer, offer, occurrence)
) WITHOUT ROWID;

-- One round of clearance of a conditional campaign: one event 5, one deadline.
CREATE TABLE clearance_round (
    tenant           INTEGER NOT NULL,
    campaign         INTEGER NOT NULL,
    no               INTEGER NOT NULL,                  -- counted per campaign; its pages have channel -no
    deadline         INTEGER NOT NULL,                  -- ClearanceRequiredBy
    asked_at         INTEGER NOT NULL,                  -- when we took event 5 in
    state            TEXT    NOT NULL CHECK (state IN ('wanted', 'reading', 'deciding', 'closed')),
    decided_through  TEXT,                              -- customers up to here (folded) are decided, and their grants durable
    sent_through     TEXT,                              -- customers up to here (folded) may be known to Optimove: a report on them was begun
    reported_through TEXT,                              -- customers up to here (folded) are reported to Optimove
    customers        INTEGER NOT NULL DEFAULT 0,        -- decided
    approved         INTEGER NOT NULL DEFAULT 0,        -- decided true
    denied           INTEGER NOT NULL DEFAULT 0,        -- decided false
    reported         INTEGER NOT NULL DEFAULT 0,        -- reported true and taken
    closed_at        INTEGER,
    close_reason     TEXT,                              -- complete, or why it ended before
    PRIMARY KEY (tenant, campaign, no),
    UNIQUE (tenant, campaign, deadline)
) WITHOUT ROWID;

-- Customers that a conditional campaign must not reach: what is reported false.
CREATE TABLE clearance_denial (
    tenant   INTEGER NOT NULL,
    campaign INTEGER NOT NULL,
    customer TEXT    NOT NULL,                          -- as Optimove spells it
    round    INTEGER NOT NULL,                          -- clearance_round.no
    reason   TEXT    NOT NULL,
    pairs    INTEGER NOT NULL,                          -- how many pairs are counted for it
    PRIMARY KEY (tenant, campaign, customer)
) WITHOUT ROWID;

-- Customers who may get nothing now.
CREATE TABLE exclusion (
    tenant     INTEGER NOT NULL,
    customer   TEXT    NOT NULL,                        -- exact
    code_fold  TEXT    NOT NULL DEFAULT '',             -- promotion.code_fold; '': every promotion
    reason     TEXT    NOT NULL,                        -- for people
    created_at INTEGER NOT NULL,
    created_by TEXT    NOT NULL,                        -- actor
    PRIMARY KEY (tenant, customer, code_fold)
) WITHOUT ROWID;

-- Triggers that were met (event 11). Their grants carry the same occurrence.
CREATE TABLE trigger_event (
    tenant       INTEGER NOT NULL,
    campaign     INTEGER NOT NULL,
    occurrence   TEXT    NOT NULL,                      -- what tells it from the next one
    customer     TEXT    NOT NULL,
    notification TEXT    NOT NULL,                      -- notification.id
    met_at       INTEGER NOT NULL,                      -- by the body's time stamp, else when it came
    taken_at     INTEGER NOT NULL,                      -- when its pairs were decided first
    reserved     INTEGER NOT NULL CHECK (reserved IN (0, 1)), -- the gateway had said yes when it came
    kept         TEXT    NOT NULL,                      -- JSON: personal fields on the tenant's allow-list
    PRIMARY KEY (tenant, campaign, occurrence)
) WITHOUT ROWID;

-- What became of each code of a trigger; a held one changes when it is released.
CREATE TABLE trigger_pair (
    tenant     INTEGER NOT NULL,
    campaign   INTEGER NOT NULL,
    occurrence TEXT    NOT NULL,
    code_fold  TEXT    NOT NULL,
    outcome    TEXT    NOT NULL,                        -- a counter of campaign_count: granted, repeated, held:REASON, refused:REASON
    waits_with TEXT,                                    -- notification.id while it is held; NULL: settled
    PRIMARY KEY (tenant, campaign, occurrence, code_fold)
) WITHOUT ROWID;
CREATE INDEX trigger_pair_waits ON trigger_pair (tenant, campaign, waits_with) WHERE waits_with IS NOT NULL;

-- Triggered grants of a campaign by the minute, for caps. Old minutes go.
CREATE TABLE trigger_minute (
    tenant   INTEGER NOT NULL,
    campaign INTEGER NOT NULL,
    minute   INTEGER NOT NULL,                          -- minutes since 1970
    granted  INTEGER NOT NULL,
    PRIMARY KEY (tenant, campaign, minute)
) WITHOUT ROWID;

-- Answers of the gateway: a yes is a reservation until it lapses or event 11 uses it.
CREATE TABLE reservation (
    tenant      INTEGER NOT NULL,
    customer    TEXT    NOT NULL,
    campaign    TEXT    NOT NULL,                       -- campaign.id of the question, folded
    action      INTEGER NOT NULL,                       -- 0: not told
    series      TEXT,                                   -- campaign.series_id of the question, folded
    codes       TEXT    NOT NULL,                       -- the folded codes that are reserved, sorted, one a line
    asked_at    INTEGER NOT NULL,
    lapses_at   INTEGER NOT NULL,                       -- exclusive; not used by then: gone
    consumed_by TEXT,                                   -- the occurrence that used it
    PRIMARY KEY (tenant, customer, campaign, action)
) WITHOUT ROWID;
CREATE INDEX reservation_lapse ON reservation (tenant, lapses_at);

-- What we registered as the tenant's gateway at Optimove, which has no documented way to ask.
CREATE TABLE gateway (
    tenant        INTEGER NOT NULL PRIMARY KEY,
    address_hash  BLOB    NOT NULL,                     -- of version and address: the address holds a secret
    registered_at INTEGER NOT NULL,                     -- when it was last written to Optimove
    asked_at      INTEGER                               -- about when the last question came; NULL: none yet
) WITHOUT ROWID;

-- Decisions that Optimove waits for (asynchronous gateway). A call that was made leaves the table.
CREATE TABLE approval_call (
    tenant   INTEGER NOT NULL,
    no       INTEGER NOT NULL,
    user_id  TEXT    NOT NULL,                          -- exactly as it was asked about
    campaign TEXT    NOT NULL,                          -- campaign.id of the question, as sent
    allowed  INTEGER NOT NULL CHECK (allowed IN (0, 1)), -- 1: yes
    asked_at INTEGER NOT NULL,                          -- when Optimove asked
    PRIMARY KEY (tenant, no)
) WITHOUT ROWID;

-- Pool of unique codes of one promotion: there is one as soon as the promotion is of kind unique.
CREATE TABLE code_pool (
    tenant     INTEGER NOT NULL,
    no         INTEGER NOT NULL,
    code_fold  TEXT    NOT NULL,                        -- promotion.code_fold
    loaded     INTEGER NOT NULL DEFAULT 0,              -- codes ever loaded: assigned + free + void
    assigned   INTEGER NOT NULL DEFAULT 0,              -- codes that belong to a customer
    void       INTEGER NOT NULL DEFAULT 0,              -- codes taken out before anybody had them
    fallbacks  INTEGER NOT NULL DEFAULT 0,              -- grants that got the fallback code
    next_code  INTEGER NOT NULL DEFAULT 1,              -- all codes with a smaller number are taken
    warned     INTEGER NOT NULL DEFAULT 100,            -- lowest percentage left that was warned of
    PRIMARY KEY (tenant, no),
    UNIQUE (tenant, code_fold),
    CHECK (assigned + void <= loaded)
) WITHOUT ROWID;

-- One unique code. Given in the order of its number. Only ever added to.
CREATE TABLE pool_code (
    tenant     INTEGER NOT NULL,
    pool       INTEGER NOT NULL,                        -- code_pool.no
    no         INTEGER NOT NULL,                        -- counted per pool from 1, in the order of loading
    code       TEXT,                                    -- as loaded; NULL: just as its key
    code_key   TEXT    NOT NULL,                        -- canonical form: what compares when it is typed
    PRIMARY KEY (tenant, pool, no),
    UNIQUE (tenant, code_key)
) WITHOUT ROWID;

-- Codes that one request has made, however often it is sent.
CREATE TABLE code_batch (
    tenant     INTEGER NOT NULL,
    pool       INTEGER NOT NULL,                        -- code_pool.no
    actor      TEXT    NOT NULL,
    key        TEXT    NOT NULL,                        -- what the asker names the request by; without one, made up for it
    wanted     INTEGER NOT NULL,                        -- how many were asked for
    made       INTEGER NOT NULL DEFAULT 0 CHECK (made <= wanted), -- how many of them are loaded
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, pool, actor, key)
) WITHOUT ROWID;

-- A unique code that is free no more: it belongs to a customer, or was taken out. Its key is what makes it happen
-- once. Only ever added to, in the order of numbers, which is what makes it cheap.
CREATE TABLE taken_code (
    tenant     INTEGER NOT NULL,
    pool       INTEGER NOT NULL,                        -- code_pool.no
    no         INTEGER NOT NULL,                        -- pool_code.no
    customer   TEXT,                                    -- who has it; NULL: nobody, it is void
    offer      INTEGER,                                 -- of which grant
    occurrence TEXT,                                    -- of that grant
    PRIMARY KEY (tenant, pool, no),
    CHECK ((customer IS NULL) = (offer IS NULL) AND (customer IS NULL) = (occurrence IS NULL))
) WITHOUT ROWID;

-- A pair that was to be granted when its pool had no code left. It waits here, and goes when it is granted.
CREATE TABLE waiting_pair (
    tenant     INTEGER NOT NULL,
    offer      INTEGER NOT NULL,
    customer   TEXT    NOT NULL,                        -- as Optimove spells it
    window_no  INTEGER NOT NULL,                        -- eligibility_window.no, as its grant will have it
    page       INTEGER NOT NULL,                        -- the landed page that its grant will name
    pairs      INTEGER NOT NULL,                        -- how many pairs are counted as held for it
    PRIMARY KEY (tenant, offer, customer)
) WITHOUT ROWID;

-- How many grants there are of a code over all campaigns, for limits on all customers.
CREATE TABLE promotion_count (
    tenant    INTEGER NOT NULL,
    code_fold TEXT    NOT NULL,
    granted   INTEGER NOT NULL,
    reserved  INTEGER NOT NULL DEFAULT 0,               -- reservations that hold room for it, lapsed ones until they are dropped
    PRIMARY KEY (tenant, code_fold)
) WITHOUT ROWID;

-- What a request with a key was answered, byte for byte, for as long as the key counts.
CREATE TABLE kept_answer (
    tenant  INTEGER NOT NULL,
    id      TEXT    NOT NULL,                           -- time-ordered; redemption.id or pledge.id where it made one
    actor   TEXT    NOT NULL,                           -- whose key it is
    key     TEXT    NOT NULL,                           -- what they name the request by
    request BLOB    NOT NULL,                           -- SHA-256 of what was asked
    status  INTEGER NOT NULL,                           -- of the answer, as HTTP has it
    body    BLOB    NOT NULL,                           -- of the answer
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, actor, key)
) WITHOUT ROWID;

-- One use of a grant. Only ever added to.
CREATE TABLE redemption (
    tenant       INTEGER NOT NULL,
    id           TEXT    NOT NULL,                      -- time-ordered
    customer     TEXT    NOT NULL,
    offer        INTEGER NOT NULL,
    occurrence   TEXT    NOT NULL,                      -- as in grants
    code_fold    TEXT    NOT NULL,                      -- promotion.code_fold
    version      INTEGER NOT NULL,                      -- promotion.version whose terms it was made under
    amount_minor INTEGER NOT NULL CHECK (amount_minor >= 0), -- what it took, in minor units; 0: nothing was said
    currency     TEXT,                                  -- three letters; NULL: nothing was said
    day          TEXT,                                  -- YYYY-MM-DD in the tenant's zone, of the budgets that it takes from; NULL: of none
    reference    TEXT,                                  -- the caller's own word for it
    actor        TEXT    NOT NULL,
    redeemed_at  INTEGER NOT NULL,
    PRIMARY KEY (tenant, id)
) WITHOUT ROWID;
CREATE INDEX redemption_grant ON redemption (tenant, customer, offer, occurrence);

-- A redemption that was undone. Only ever added to.
CREATE TABLE reversal (
    tenant      INTEGER NOT NULL,
    id          TEXT    NOT NULL,                       -- redemption.id
    reason      TEXT,                                   -- for people
    actor       TEXT    NOT NULL,
    reversed_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, id)
) WITHOUT ROWID;

-- A redemption that is set aside for a cart: made real, given back, or lapsed by itself.
CREATE TABLE pledge (
    tenant       INTEGER NOT NULL,
    id           TEXT    NOT NULL,                      -- time-ordered; the redemption's id if it becomes one
    customer     TEXT    NOT NULL,
    offer        INTEGER NOT NULL,
    occurrence   TEXT    NOT NULL,                      -- as in grants
    code_fold    TEXT    NOT NULL,                      -- promotion.code_fold
    version      INTEGER NOT NULL,                      -- promotion.version whose terms it was made under
    amount_minor INTEGER NOT NULL CHECK (amount_minor >= 0), -- what is set aside, in minor units
    currency     TEXT,                                  -- three letters; NULL: nothing was said
    day          TEXT,                                  -- as in redemption
    reference    TEXT,                                  -- the caller's own word for it
    actor        TEXT    NOT NULL,
    pledged_at   INTEGER NOT NULL,
    lapses_at    INTEGER NOT NULL,                      -- exclusive; not confirmed by then: given back
    state        TEXT    NOT NULL CHECK (state IN ('open', 'confirmed', 'cancelled', 'lapsed')), -- open may have lapsed by the clock
    ended_at     INTEGER,
    PRIMARY KEY (tenant, id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX pledge_open ON pledge (tenant, customer, offer, occurrence) WHERE state = 'open';
CREATE INDEX pledge_lapse ON pledge (tenant, code_fold, lapses_at) WHERE state = 'open';

-- How far redemptions and open pledges have used a promotion up, reversals taken off.
CREATE TABLE promotion_use (
    tenant      INTEGER NOT NULL,
    code_fold   TEXT    NOT NULL,                       -- promotion.code_fold
    period      TEXT    NOT NULL,                       -- '': ever; else day, week or month by its first day: D2027-03-25, W2027-03-22, M2027-03-01
    used        INTEGER NOT NULL,                       -- grants that are used, in part or whole; 0 in periods
    spent_minor INTEGER NOT NULL,                       -- value in minor units
    pledged     INTEGER NOT NULL,                       -- pledges among them that are open; 0 in periods
    PRIMARY KEY (tenant, code_fold, period)
) WITHOUT ROWID;

-- A system of the operator's that hears of grants.
CREATE TABLE destination (
    tenant        INTEGER NOT NULL,
    no            INTEGER NOT NULL,
    id            TEXT    NOT NULL,                     -- slug, chosen by the operator
    kind          TEXT    NOT NULL CHECK (kind IN ('http', 'jetstream')),
    settings      TEXT    NOT NULL,                     -- JSON: address, batches, pace
    secrets       BLOB,                                 -- sealed; NULL: none, or the destination is ended
    heard_event   INTEGER NOT NULL,                     -- where its next delivery begins: grant_event.no,
    heard_block   INTEGER NOT NULL DEFAULT 0,           -- grant_block.no within it; 0: its first,
    heard_entry   INTEGER NOT NULL DEFAULT 0,           -- and the place within the block
    failures      INTEGER NOT NULL DEFAULT 0,           -- tries that failed in a row, over all deliveries
    rests_until   INTEGER,                              -- nothing is sent before; NULL: it does not rest
    trouble       TEXT,                                 -- what the newest failed try met
    created_at    INTEGER NOT NULL,
    paused_at     INTEGER,                              -- by the operator; what is to be told waits
    ended_at      INTEGER,                              -- no longer delivered to
    PRIMARY KEY (tenant, no)
) WITHOUT ROWID;
CREATE UNIQUE INDEX destination_id ON destination (tenant, id) WHERE ended_at IS NULL;

-- What one transaction did to grants of a campaign, packed. Written only for tenants with a destination; only ever
-- added to.
CREATE TABLE grant_block (
    tenant         INTEGER NOT NULL,
    no             INTEGER NOT NULL,
    campaign       INTEGER NOT NULL,
    moves          INTEGER NOT NULL CHECK (moves IN (0, 1)), -- 1: grants of earlier blocks have other windows or ends now
    entries        INTEGER NOT NULL,                    -- how many grants
    first_customer TEXT    NOT NULL,                    -- smallest and
    last_customer  TEXT    NOT NULL,                    -- largest of its customers' ids
    made_at        INTEGER NOT NULL,                    -- when it was written
    body           BLOB    NOT NULL,
    PRIMARY KEY (tenant, no)
);
CREATE INDEX grant_block_campaign ON grant_block (tenant, campaign, no);
CREATE INDEX grant_block_moves ON grant_block (tenant, campaign, no) WHERE moves = 1;

-- Starts and ends of windows that are still to be announced, one row for all grants of a block that share one.
CREATE TABLE grant_due (
    tenant INTEGER NOT NULL,
    at     INTEGER NOT NULL,                            -- when the windows start or end
    what   TEXT    NOT NULL CHECK (what IN ('start', 'end')),
    block  INTEGER NOT NULL,                            -- grant_block.no
    PRIMARY KEY (tenant, at, what, block)
) WITHOUT ROWID;

-- What destinations are told, in order: of the grants of a block, of all blocks of a campaign, or of one document.
-- Only ever added to.
CREATE TABLE grant_event (
    tenant     INTEGER NOT NULL,
    no         INTEGER NOT NULL,
    kind       TEXT    NOT NULL,                        -- grant.created, grant.activated, ...
    campaign   INTEGER NOT NULL,
    block      INTEGER,                                 -- grant_block.no; NULL: every block of the campaign
    through    INTEGER NOT NULL,                        -- blocks up to this one were there
    at         INTEGER NOT NULL,                        -- the instant that it tells of
    noted_at   INTEGER NOT NULL,                        -- when it was written down
    redemption TEXT,                                    -- redemption.id; NULL: it tells of none
    correlation TEXT,                                   -- what it came from; NULL: nobody said
    PRIMARY KEY (tenant, no)
) WITHOUT ROWID;

-- A batch of events on its way to a destination: everything between two places of what it hears.
CREATE TABLE delivery (
    tenant         INTEGER NOT NULL,
    destination    INTEGER NOT NULL,                    -- destination.no
    no             INTEGER NOT NULL,                    -- counted per destination
    id             TEXT    NOT NULL,                    -- the same in each try
    state          TEXT    NOT NULL CHECK (state IN ('waiting', 'sending', 'delivered', 'unknown', 'dead', 'overtaken')),
    from_event     INTEGER NOT NULL,                    -- as heard_event, heard_block, heard_entry
    from_block     INTEGER NOT NULL,                    -- grant_block.no; 0: the event's first
    from_entry     INTEGER NOT NULL,                    -- place within the block
    to_event       INTEGER NOT NULL,                    -- exclusive
    to_block       INTEGER NOT NULL,                    -- exclusive, as the next
    to_entry       INTEGER NOT NULL,                    -- exclusive
    events         INTEGER NOT NULL,                    -- how many
    planned_at     INTEGER NOT NULL,                    -- when it was written down
    first_tried_at INTEGER,                             -- since it was last given up
    attempts       INTEGER NOT NULL DEFAULT 0,          -- tries since then
    next_at        INTEGER NOT NULL,                    -- not tried before
    in_doubt       INTEGER NOT NULL DEFAULT 0 CHECK (in_doubt IN (0, 1)), -- a try may have been applied though it failed
    redriven       INTEGER NOT NULL DEFAULT 0,          -- times that somebody had it sent again
    settled_at     INTEGER,                             -- NULL: it waits or is on its way
    detail         TEXT,                                -- what the newest failed try met
    PRIMARY KEY (tenant, destination, no),
    UNIQUE (tenant, id)
) WITHOUT ROWID;
-- The state stands in front so that each state's deliveries are found by themselves.
CREATE INDEX delivery_state ON delivery (tenant, destination, state, no) WHERE state <> 'delivered';

-- Grants that have left the ledger for files, by campaign. While there is a row, its campaign takes in nothing more; of a
-- month, nothing from before its end.
CREATE TABLE archive (
    tenant          INTEGER NOT NULL,
    no              INTEGER NOT NULL,
    campaign        INTEGER NOT NULL,                   -- campaign.no
    month           TEXT    NOT NULL,                   -- '': all of it; else YYYY-MM in UTC: triggers met until its end
    until           INTEGER NOT NULL,                   -- exclusive end of that month; 0: all of it
    state           TEXT    NOT NULL CHECK (state IN ('writing', 'dropping', 'dropped')), -- dropping: the files are whole
    place           TEXT    NOT NULL,                   -- folder of its files, beneath that of all archives
    tallies         TEXT    NOT NULL DEFAULT '',        -- of its files, a line each: name, rows, SHA-256 of the values and of the file
    grants          INTEGER NOT NULL DEFAULT 0,         -- in its files
    dropped         INTEGER NOT NULL DEFAULT 0,         -- of them, those that have left the ledger: used ones stay
    dropped_ends    INTEGER NOT NULL DEFAULT 0,         -- rows of grant_end that went with them
    dropped_through TEXT,                               -- how far they have: a customer (folded), or an occurrence; NULL: not begun
    begun_at        INTEGER NOT NULL,                   -- when its campaign was closed for it
    written_at      INTEGER,                            -- when the files were found whole
    dropped_at      INTEGER,                            -- when nothing was left to drop
    PRIMARY KEY (tenant, no),
    UNIQUE (tenant, campaign, month)
) WITHOUT ROWID;
CREATE INDEX archive_open ON archive (tenant, no) WHERE state <> 'dropped';

-- Pairs of triggers that are in archives, by what became of them. Counted with those that are still here.
CREATE TABLE archived_pairs (
    tenant          INTEGER NOT NULL,
    campaign        INTEGER NOT NULL,
    outcome         TEXT    NOT NULL,                   -- trigger_pair.outcome
    pairs           INTEGER NOT NULL,
    PRIMARY KEY (tenant, campaign, outcome)
) WITHOUT ROWID;

-- Triggered grants that are in archives, by customer: caps count them.
CREATE TABLE archived_grants (
    tenant          INTEGER NOT NULL,
    customer        TEXT    NOT NULL,
    campaign        INTEGER NOT NULL,
    grants          INTEGER NOT NULL,                   -- how many
    PRIMARY KEY (tenant, customer, campaign)
) WITHOUT ROWID;
