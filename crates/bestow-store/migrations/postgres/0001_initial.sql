-- The first schema: tenants, inbox, catalogue, campaigns, imports, grants, jobs, audit.
--
-- Rules that hold for every table:
-- * `tenant` (a small number) leads each key; a reference never leaves its tenant.
-- * Instants are whole milliseconds since 1970-01-01T00:00:00Z. Types are BIGINT, TEXT and BYTEA only; texts compare by their bytes.
-- * Numbers that make rows narrow (`no`, `offer`, `eligibility_window`) are counted per tenant inside
--   the transaction that needs them; nothing depends on a database sequence or a trigger.

-- One Optimove client.
CREATE TABLE tenant (
    id           TEXT COLLATE "C" NOT NULL PRIMARY KEY,             -- slug, chosen by the operator
    no           BIGINT           NOT NULL UNIQUE,                  -- leads the keys of all other tables
    name         TEXT COLLATE "C" NOT NULL,
    time_zone    TEXT COLLATE "C" NOT NULL,                         -- IANA name
    zone_data    TEXT COLLATE "C" NOT NULL,                         -- release of the zone data that windows to come stand by
    base_url     TEXT COLLATE "C" NOT NULL,                         -- Optimove's API for this client
    auth_kind    TEXT COLLATE "C" NOT NULL CHECK (auth_kind IN ('api_key', 'login')),
    credential   BYTEA            NOT NULL,                         -- sealed; never in the clear
    settings     TEXT COLLATE "C" NOT NULL,                         -- JSON: channels, expiry, defaults, limits
    created_at   BIGINT           NOT NULL,
    suspended_at BIGINT                                             -- work pauses, the listener keeps storing
);

-- The secret address of one tenant and event type. Only a hash of the secret is kept.
CREATE TABLE listener (
    tenant      BIGINT           NOT NULL,
    event_type  BIGINT           NOT NULL,                          -- Optimove's number of the event
    generation  BIGINT           NOT NULL,                          -- rises with every rotation
    secret_hash BYTEA            NOT NULL UNIQUE,
    created_at  BIGINT           NOT NULL,
    retired_at  BIGINT,                                             -- no longer accepted from then on
    PRIMARY KEY (tenant, event_type, generation)
);

-- Bearer tokens of the HTTP API.
CREATE TABLE api_token (
    id          TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    secret_hash BYTEA            NOT NULL UNIQUE,
    name        TEXT COLLATE "C" NOT NULL,
    role        TEXT COLLATE "C" NOT NULL CHECK (role IN ('viewer', 'operator', 'approver', 'admin', 'auditor')),
    tenant      BIGINT,                                             -- NULL: every tenant
    created_at  BIGINT           NOT NULL,
    expires_at  BIGINT           NOT NULL,
    revoked_at  BIGINT
);

-- The inbox: every notification that was answered 2xx.
CREATE TABLE notification (
    tenant      BIGINT           NOT NULL,
    id          TEXT COLLATE "C" NOT NULL,                          -- time-ordered
    event_type  BIGINT           NOT NULL,                          -- from the address it came to
    identity    TEXT COLLATE "C" NOT NULL,                          -- what makes a repeat a repeat
    campaign    TEXT COLLATE "C",                                   -- as read from the body, if readable
    channel     BIGINT,                                             -- NULL: none named
    received_at BIGINT           NOT NULL,
    arrivals    BIGINT           NOT NULL DEFAULT 1 CHECK (arrivals >= 1),
    status      TEXT COLLATE "C" NOT NULL DEFAULT 'waiting' CHECK (status IN ('waiting', 'done', 'superseded', 'held')),
    reason      TEXT COLLATE "C",                                   -- why held or superseded
    done_at     BIGINT,
    body        BYTEA            NOT NULL,                          -- as it came
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, identity)
);
-- The status stands in front, although it is always the same, as on SQLite, whose planner wants it.
CREATE INDEX notification_waiting ON notification (status, tenant, id) WHERE status = 'waiting';
CREATE INDEX notification_held ON notification (id) WHERE status = 'held';
CREATE INDEX notification_cancel ON notification (id) WHERE status = 'waiting' AND event_type = 4;

-- The catalogue: our promotions, the source of Optimove's list.
CREATE TABLE promotion (
    tenant      BIGINT           NOT NULL,
    code_fold   TEXT COLLATE "C" NOT NULL,                          -- the code, folded: what compares
    code        TEXT COLLATE "C" NOT NULL,                          -- first spelling
    name        TEXT COLLATE "C" NOT NULL,
    status      TEXT COLLATE "C" NOT NULL CHECK (status IN ('draft', 'active', 'paused', 'archived', 'stopped')),
    kind        TEXT COLLATE "C" NOT NULL CHECK (kind IN ('shared', 'unique')),
    reward      TEXT COLLATE "C" NOT NULL,                          -- JSON
    limits      TEXT COLLATE "C" NOT NULL,                          -- JSON
    metadata    TEXT COLLATE "C" NOT NULL,                          -- JSON
    version     BIGINT           NOT NULL,
    created_at  BIGINT           NOT NULL,
    updated_at  BIGINT           NOT NULL,
    validity_days BIGINT,                                           -- days that a triggered grant lasts; NULL: the trigger or the tenant says
    fallback_code TEXT COLLATE "C",                                 -- what everybody gets once a pool of unique codes is empty
    synced_name TEXT COLLATE "C",                                   -- the name on which Optimove's list and ours last agreed; NULL: never
    added_there BIGINT           NOT NULL DEFAULT 0 CHECK (added_there IN (0, 1)), -- we put the code into Optimove's list, so we may delete it
    resumes_as  TEXT COLLATE "C" CHECK (resumes_as IN ('draft', 'active', 'paused', 'archived')), -- of one that is stopped: its status once it goes on
    stop_reason TEXT COLLATE "C",                                   -- of one that is stopped: for people
    PRIMARY KEY (tenant, code_fold),
    CHECK ((status = 'stopped') = (resumes_as IS NOT NULL))
);

-- The terms of a promotion, each time they changed. Only ever added to.
CREATE TABLE promotion_version (
    tenant    BIGINT           NOT NULL,
    code_fold TEXT COLLATE "C" NOT NULL,                            -- promotion.code_fold
    version   BIGINT           NOT NULL,                            -- promotion.version
    made_at   BIGINT           NOT NULL,                            -- grants that came from then on are made under it
    status    TEXT COLLATE "C" NOT NULL,                            -- promotion.status that came with it
    document  TEXT COLLATE "C" NOT NULL,                            -- JSON: everything else that was said
    made_by   TEXT COLLATE "C" NOT NULL,                            -- who
    PRIMARY KEY (tenant, code_fold, version)
);

-- One occurrence of a campaign at Optimove.
CREATE TABLE campaign (
    tenant           BIGINT           NOT NULL,
    id               TEXT COLLATE "C" NOT NULL,                     -- Optimove's campaign id, as text
    no               BIGINT           NOT NULL,
    kind             TEXT COLLATE "C" CHECK (kind IN ('scheduled', 'conditional', 'triggered')), -- NULL: nobody said yet, only a cancel was heard of
    first_seen_at    BIGINT           NOT NULL,
    seen_by          TEXT COLLATE "C" NOT NULL,                     -- notification, sweep or operator
    details_version  BIGINT           NOT NULL DEFAULT 0,           -- 0: not read yet
    duration_days    BIGINT,                                        -- as applied
    lead_time_days   BIGINT,
    duration_source  TEXT COLLATE "C",                              -- campaign, or which default and why
    expected_size    BIGINT,                                        -- TestGroupSize, if told
    details_channels TEXT COLLATE "C",                              -- JSON list of channel numbers, if told
    size_approved_at BIGINT,                                        -- an operator let an odd size pass
    merged_through   BIGINT           NOT NULL DEFAULT 0,           -- landed pages up to this one are grants
    merge_to         BIGINT,                                        -- a merge is under way up to this page
    merge_cursor     TEXT COLLATE "C",                              -- the last customer merged in it, folded
    merge_customers  BIGINT           NOT NULL DEFAULT 0,           -- distinct customers seen by it so far
    customers        BIGINT,                                        -- distinct customers when last merged whole
    windows_end_at   BIGINT,                                        -- latest end of its eligibility windows
    sent             BIGINT           NOT NULL DEFAULT 0,           -- grants of clearance rounds whose customers were sent to
    ended            BIGINT           NOT NULL DEFAULT 0,           -- grants that Optimove's daily list has ended
    suspended_at     BIGINT,
    suspended_by     TEXT COLLATE "C" CHECK (suspended_by IN ('cancel', 'operator')), -- who may lift it: the cancel's own check lifts no person's
    revoked_at       BIGINT,
    stop_reason      TEXT COLLATE "C",
    last_error       TEXT COLLATE "C",
    last_error_at    BIGINT,
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, no)
);

-- What Optimove said of a campaign, each time it said something new.
CREATE TABLE campaign_details (
    tenant   BIGINT           NOT NULL,
    campaign BIGINT           NOT NULL,                             -- campaign.no
    version  BIGINT           NOT NULL,
    read_at  BIGINT           NOT NULL,
    document TEXT COLLATE "C" NOT NULL,                             -- the answer as read
    PRIMARY KEY (tenant, campaign, version)
);

-- Counters of a campaign: rows, rows_without_code, pairs, granted, repeated, held:REASON, refused:REASON.
CREATE TABLE campaign_count (
    tenant   BIGINT           NOT NULL,
    campaign BIGINT           NOT NULL,
    counter  TEXT COLLATE "C" NOT NULL,
    n        BIGINT           NOT NULL,
    PRIMARY KEY (tenant, campaign, counter)
);

-- The reading of one campaign on one channel.
CREATE TABLE import (
    tenant          BIGINT           NOT NULL,
    campaign        BIGINT           NOT NULL,
    channel         BIGINT           NOT NULL,                      -- 0: every channel in one list; -N: processed list of clearance round N
    state           TEXT COLLATE "C" NOT NULL CHECK (state IN ('wanted', 'reading', 'read', 'done', 'held')),
    hold_reason     TEXT COLLATE "C",
    wanted_at       BIGINT           NOT NULL,
    pass            BIGINT           NOT NULL DEFAULT 1,            -- 1 lands; later ones confirm
    page_rows       BIGINT           NOT NULL DEFAULT 0,            -- page size asked for in this pass
    skip            BIGINT           NOT NULL DEFAULT 0,            -- page cursor: rows received in this pass
    rows            BIGINT           NOT NULL DEFAULT 0,            -- rows of the first pass
    pass_from_page  BIGINT           NOT NULL DEFAULT 0,            -- first landed page of this pass
    pass_added      BIGINT           NOT NULL DEFAULT 0,            -- pairs that this pass brought and earlier ones had not
    done_at         BIGINT,
    PRIMARY KEY (tenant, campaign, channel)
);

-- A part of a list that is read apart from the others, by whichever process comes first. Gone with its pass.
CREATE TABLE page_range (
    tenant   BIGINT           NOT NULL,
    campaign BIGINT           NOT NULL,
    channel  BIGINT           NOT NULL,                             -- as in its import
    first    BIGINT           NOT NULL,                             -- its first row, from 0
    skip     BIGINT           NOT NULL,                             -- rows before the next page
    until    BIGINT,                                                -- the first row behind it; NULL: to the end of the list
    state    TEXT COLLATE "C" NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'read')),
    PRIMARY KEY (tenant, campaign, channel, first)
);

-- A page as received: its counts and digest stay for ever, whatever became of the rows.
CREATE TABLE landed_page (
    tenant            BIGINT           NOT NULL,
    campaign          BIGINT           NOT NULL,
    page              BIGINT           NOT NULL,                    -- counted per campaign, over channels and passes
    channel           BIGINT           NOT NULL,
    pass              BIGINT           NOT NULL,
    skip              BIGINT           NOT NULL,                    -- rows of the list before this page
    rows              BIGINT           NOT NULL,
    rows_without_code BIGINT           NOT NULL,
    pairs             BIGINT           NOT NULL,
    customers         BIGINT           NOT NULL,                    -- distinct within the page
    digest            BYTEA            NOT NULL,                    -- SHA-256 of the body
    landed_at         BIGINT           NOT NULL,
    PRIMARY KEY (tenant, campaign, page)
);

-- The rows of a page, sorted by customer and packed: the campaign's own record of who was listed.
CREATE TABLE landed_block (
    tenant        BIGINT           NOT NULL,
    campaign      BIGINT           NOT NULL,
    page          BIGINT           NOT NULL,
    block         BIGINT           NOT NULL,
    last_fold     TEXT COLLATE "C" NOT NULL,                        -- the last customer in it, folded
    body          BYTEA            NOT NULL,
    PRIMARY KEY (tenant, campaign, page, block)
);

-- Rows that name nobody: kept with their reason until released.
CREATE TABLE held_row (
    tenant      BIGINT           NOT NULL,
    campaign    BIGINT           NOT NULL,
    page        BIGINT           NOT NULL,
    row         BIGINT           NOT NULL,                          -- place within the page
    reason      TEXT COLLATE "C" NOT NULL,
    pairs       BIGINT           NOT NULL,
    extract     TEXT COLLATE "C" NOT NULL,                          -- a short piece of the row
    released_at BIGINT,
    PRIMARY KEY (tenant, campaign, page, row)
);

-- One promo code of one campaign. Its grants point here.
CREATE TABLE offer (
    tenant    BIGINT           NOT NULL,
    no        BIGINT           NOT NULL,
    campaign  BIGINT           NOT NULL,
    code_fold TEXT COLLATE "C" NOT NULL,
    code      TEXT COLLATE "C" NOT NULL,                            -- as the campaign spells it first
    hold_reason TEXT COLLATE "C",                                   -- why its pairs are held; NULL: they are granted
    released_in_part BIGINT NOT NULL DEFAULT 0,                       -- 1: of the pairs it holds the ledger has some
    PRIMARY KEY (tenant, no),
    UNIQUE (tenant, campaign, code_fold)
);

-- An eligibility window with the action and channel that gave it. Kept once, shared by its grants.
CREATE TABLE eligibility_window (
    tenant    BIGINT           NOT NULL,
    no        BIGINT           NOT NULL,
    campaign  BIGINT           NOT NULL,
    starts_at BIGINT           NOT NULL,
    ends_at   BIGINT,                                               -- exclusive; NULL: ended by the daily list
    action    BIGINT           NOT NULL,                            -- 0: not told
    channel   BIGINT           NOT NULL,                            -- 0: not told
    starts_wall BIGINT,                                             -- the clock on the wall at the start, as if it were UTC; NULL: an instant of its own
    ends_wall BIGINT,                                               -- likewise at the end
    moved_at  BIGINT,                                               -- reckoned again by newer zone data
    PRIMARY KEY (tenant, no),
    CHECK (ends_at IS NULL OR ends_at >= starts_at)
);
-- No unique key: windows that newer zone data moved may come to the same. They are made one at a time.
CREATE INDEX eligibility_window_terms
    ON eligibility_window (tenant, campaign, starts_at);

-- The ledger: one row, one promise. The key is the identity of a grant.
CREATE TABLE grants (
    tenant        BIGINT           NOT NULL,
    customer      TEXT COLLATE "C" NOT NULL,
    offer         BIGINT           NOT NULL,
    occurrence    TEXT COLLATE "C" NOT NULL,                        -- '' unless triggered
    window_no     BIGINT           NOT NULL,                        -- eligibility_window.no
    page          BIGINT           NOT NULL,                        -- the landed page that gave its window: a clearance round's until the execution is told; 0: a trigger's, or Optimove refused its customer's approval
    code          BIGINT           NOT NULL DEFAULT 0,              -- pool_code.no of its unique code; 0: none; -1: the fallback code
    redeemed      BIGINT,                                           -- redemptions, reversed ones taken off; NULL: none
    spent         BIGINT           CHECK (spent = 1),               -- 1: nothing is left of it; NULL: something is
    pledged_until BIGINT,                                           -- in a cart, which lapses then; NULL: in none
    PRIMARY KEY (tenant, customer, offer, occurrence)
);

-- Work to be done, claimed by lease. A finished job leaves the table.
CREATE TABLE job (
    tenant      BIGINT           NOT NULL,
    kind        TEXT COLLATE "C" NOT NULL,
    key         TEXT COLLATE "C" NOT NULL,                          -- one job per kind and key
    run_at      BIGINT           NOT NULL,
    attempts    BIGINT           NOT NULL DEFAULT 0,
    lease_token BIGINT           NOT NULL DEFAULT 0,                -- of the newest claim; rises
    lease_until BIGINT,                                             -- NULL: not claimed
    lease_node  BIGINT,                                             -- the process that holds it; NULL: nobody said
    again       BIGINT           NOT NULL DEFAULT 0 CHECK (again IN (0, 1)), -- asked for once more while claimed
    last_error  TEXT COLLATE "C",
    correlation TEXT COLLATE "C",                                   -- what it was asked for because of; NULL: nobody said
    PRIMARY KEY (tenant, kind, key)
);
CREATE INDEX job_due ON job (run_at);
CREATE INDEX job_turn ON job (tenant, run_at);
CREATE INDEX job_kind ON job (kind, run_at);

-- Calls that one process may make to Optimove: all of them together stay below its limit. Only where several
-- processes share a database. Times of this table and the next are the database's own.
CREATE TABLE call_slice (
    credential BYTEA  NOT NULL,                                     -- hash of a credential and of where it is used: what Optimove counts by
    no         BIGINT NOT NULL,
    node       BIGINT NOT NULL,                                     -- the process
    calls      BIGINT NOT NULL,                                     -- how many; once ended, how many were made
    ends_at    BIGINT,                                              -- counts until then; NULL: the process may still make some
    PRIMARY KEY (credential, no)
);

-- The session that all processes with one credential use, and whose turn it is to log in.
CREATE TABLE optimove_session (
    credential      BYTEA            NOT NULL PRIMARY KEY,          -- as above
    token           BYTEA,                                          -- sealed
    turn            BIGINT           NOT NULL DEFAULT 0,            -- number of the newest turn
    turn_of         BIGINT,                                         -- the process that logs in; NULL: nobody does
    ended_at        BIGINT           NOT NULL DEFAULT 0,            -- of the newest login
    refused_until   BIGINT           NOT NULL DEFAULT 0,            -- nobody logs in before, since the credential was refused
    refused_status  BIGINT,                                         -- what the server answered then
    refused_message TEXT COLLATE "C"                                -- and said
);

-- Counts claims, so that no token is ever given twice.
CREATE TABLE lease_count (
    tenant BIGINT NOT NULL PRIMARY KEY,
    claims BIGINT NOT NULL                                          -- so far; the newest lease's token
);

-- A tenant whose work rests, since Optimove refused it or could not be reached. Goes with the first success.
CREATE TABLE tenant_rest (
    tenant   BIGINT           NOT NULL PRIMARY KEY,
    since    BIGINT           NOT NULL,                             -- of the first failure in a row
    until    BIGINT           NOT NULL,                             -- no job of the tenant starts before
    failures BIGINT           NOT NULL,                             -- rests in a row
    reason   TEXT COLLATE "C" NOT NULL                              -- what the newest failure said
);

-- Who did what, when and why. Only ever added to.
CREATE TABLE audit (
    tenant      BIGINT           NOT NULL,                          -- 0: the deployment itself
    seq         BIGINT           NOT NULL,
    at          BIGINT           NOT NULL,
    actor       TEXT COLLATE "C" NOT NULL,
    action      TEXT COLLATE "C" NOT NULL,
    object      TEXT COLLATE "C" NOT NULL,
    detail      TEXT COLLATE "C" NOT NULL,                          -- JSON: before, after, counts, digests
    correlation TEXT COLLATE "C",
    PRIMARY KEY (tenant, seq)
);

-- What the records were at a moment: signed, so that whoever changes records later cannot say they always were so.
CREATE TABLE audit_checkpoint (
    tenant    BIGINT NOT NULL,                                      -- 0: the deployment itself
    seq       BIGINT NOT NULL,                                      -- audit.seq of the newest record that it covers
    at        BIGINT NOT NULL,                                      -- when it was signed
    head      BYTEA  NOT NULL,                                      -- SHA-256 over all records up to it, each hashed with what came before
    key       BYTEA  NOT NULL,                                      -- Ed25519, public
    signature BYTEA  NOT NULL,                                      -- of tenant, seq, at and head
    PRIMARY KEY (tenant, seq)
);

-- Differences between us and Optimove, shown until somebody settles them.
CREATE TABLE finding (
    tenant      BIGINT           NOT NULL,
    kind        TEXT COLLATE "C" NOT NULL,
    object      TEXT COLLATE "C" NOT NULL,                          -- one open finding per kind and object
    detail      TEXT COLLATE "C" NOT NULL,
    found_at    BIGINT           NOT NULL,
    seen_at     BIGINT           NOT NULL,
    resolved_at BIGINT,
    PRIMARY KEY (tenant, kind, object)
);

-- What became of a cancellation notice (event 4): whether Optimove's own lists bear it out.
CREATE TABLE cancellation (
    tenant      BIGINT           NOT NULL,
    campaign    BIGINT           NOT NULL,
    notified_at BIGINT           NOT NULL,                          -- when we took event 4 in; Optimove keeps the list for two hours from about then
    state       TEXT COLLATE "C" NOT NULL CHECK (state IN ('asking', 'confirmed', 'contradicted', 'unconfirmed', 'overruled')),
    doubt       TEXT COLLATE "C" CHECK (doubt IN ('contradicts', 'cannot_tell')), -- what the first look was worth; NULL: none yet
    rows        BIGINT           NOT NULL DEFAULT 0,                -- rows of Optimove's list of cancelled customers
    listed      BIGINT           NOT NULL DEFAULT 0,                -- distinct pairs in it
    not_ours    BIGINT           NOT NULL DEFAULT 0,                -- listed pairs without a grant here
    not_listed  BIGINT           NOT NULL DEFAULT 0,                -- grants here that it does not list
    settled_at  BIGINT,                                             -- NULL: still asking, or still comparing the list
    PRIMARY KEY (tenant, campaign)
);

-- What a campaign would give, weighed before anything of it is granted. Only campaigns that have bounds, or that somebody asked about.
CREATE TABLE campaign_guard (
    tenant      BIGINT           NOT NULL,
    campaign    BIGINT           NOT NULL,                          -- campaign.no
    state       TEXT COLLATE "C" NOT NULL CHECK (state IN ('asked', 'passed', 'held', 'approved', 'refused')), -- asked: somebody wants to see it before it is granted
    asked_by    TEXT COLLATE "C",                                   -- who
    run_of      TEXT COLLATE "C",                                   -- what its runs have in common; NULL: not told
    customers   BIGINT           NOT NULL DEFAULT 0,                -- distinct customers when last weighed
    figures     TEXT COLLATE "C",                                   -- JSON: what it would give; NULL: not weighed yet
    beyond      TEXT COLLATE "C",                                   -- JSON: the bounds that it is beyond
    weighed_at  BIGINT,                                             -- when that was found
    approved    TEXT COLLATE "C",                                   -- JSON: the figures that somebody approved; NULL: none
    decided_by  TEXT COLLATE "C",                                   -- who approved or refused
    decided_at  BIGINT,                                             -- when
    reason      TEXT COLLATE "C",                                   -- of the decision, for people
    PRIMARY KEY (tenant, campaign)
);
CREATE INDEX campaign_guard_run ON campaign_guard (tenant, run_of, campaign) WHERE run_of IS NOT NULL;

-- Optimove's daily list of ended actions: how far each day's list is read.
CREATE TABLE ended_day (
    tenant      BIGINT           NOT NULL,
    day         TEXT COLLATE "C" NOT NULL,                          -- the date asked for, YYYY-MM-DD in the tenant's zone
    state       TEXT COLLATE "C" NOT NULL CHECK (state IN ('wanted', 'reading', 'read', 'done')), -- read: while the day went on; done: after it
    wanted_at   BIGINT           NOT NULL,
    skip        BIGINT           NOT NULL DEFAULT 0,                -- page cursor: rows received in this reading
    rows        BIGINT           NOT NULL DEFAULT 0,                -- rows of the newest reading
    ended       BIGINT           NOT NULL DEFAULT 0,                -- grants that it ended, over all readings
    archived    BIGINT           NOT NULL DEFAULT 0,                -- of them, those that are in archives
    unmatched   BIGINT           NOT NULL DEFAULT 0,                -- rows of the newest reading that fit no grant of ours
    begun_at    BIGINT,                                             -- of the newest reading, however often it was taken up again
    done_at     BIGINT,
    PRIMARY KEY (tenant, day)
);

-- Grants that the daily list ended. Kept for tenants that expire by it only.
CREATE TABLE grant_end (
    tenant     BIGINT           NOT NULL,
    customer   TEXT COLLATE "C" NOT NULL,
    offer      BIGINT           NOT NULL,
    occurrence TEXT COLLATE "C" NOT NULL,                           -- as in grants
    ended_at   BIGINT           NOT NULL,                           -- exclusive end that the list gave
    day        TEXT COLLATE "C" NOT NULL,                           -- ended_day.day
    PRIMARY KEY (tenant, customer, offer, occurrence)
);

-- One round of clearance of a conditional campaign: one event 5, one deadline.
CREATE TABLE clearance_round (
    tenant           BIGINT           NOT NULL,
    campaign         BIGINT           NOT NULL,
    no               BIGINT           NOT NULL,                     -- counted per campaign; its pages have channel -no
    deadline         BIGINT           NOT NULL,                     -- ClearanceRequiredBy
    asked_at         BIGINT           NOT NULL,                     -- when we took event 5 in
    state            TEXT COLLATE "C" NOT NULL CHECK (state IN ('wanted', 'reading', 'deciding', 'closed')),
    decided_through  TEXT COLLATE "C",                              -- customers up to here (folded) are decided, and their grants durable
    sent_through     TEXT COLLATE "C",                              -- customers up to here (folded) may be known to Optimove: a report on them was begun
    reported_through TEXT COLLATE "C",                              -- customers up to here (folded) are reported to Optimove
    customers        BIGINT           NOT NULL DEFAULT 0,           -- decided
    approved         BIGINT           NOT NULL DEFAULT 0,           -- decided true
    denied           BIGINT           NOT NULL DEFAULT 0,           -- decided false
    reported         BIGINT           NOT NULL DEFAULT 0,           -- reported true and taken
    closed_at        BIGINT,
    close_reason     TEXT COLLATE "C",                              -- complete, or why it ended before
    PRIMARY KEY (tenant, campaign, no),
    UNIQUE (tenant, campaign, deadline)
);

-- Customers that a conditional campaign must not reach: what is reported false.
CREATE TABLE clearance_denial (
    tenant   BIGINT           NOT NULL,
    campaign BIGINT           NOT NULL,
    customer TEXT COLLATE "C" NOT NULL,                             -- as Optimove spells it
    round    BIGINT           NOT NULL,                             -- clearance_round.no
    reason   TEXT COLLATE "C" NOT NULL,
    pairs    BIGINT           NOT NULL,                             -- how many pairs are counted for it
    PRIMARY KEY (tenant, campaign, customer)
);

-- Customers who may get nothing now.
CREATE TABLE exclusion (
    tenant     BIGINT           NOT NULL,
    customer   TEXT COLLATE "C" NOT NULL,                           -- exact
    code_fold  TEXT COLLATE "C" NOT NULL DEFAULT '',                -- promotion.code_fold; '': every promotion
    reason     TEXT COLLATE "C" NOT NULL,                           -- for people
    created_at BIGINT           NOT NULL,
    created_by TEXT COLLATE "C" NOT NULL,                           -- actor
    PRIMARY KEY (tenant, customer, code_fold)
);

-- Triggers that were met (event 11). Their grants carry the same occurrence.
CREATE TABLE trigger_event (
    tenant       BIGINT           NOT NULL,
    campaign     BIGINT           NOT NULL,
    occurrence   TEXT COLLATE "C" NOT NULL,                         -- what tells it from the next one
    customer     TEXT COLLATE "C" NOT NULL,
    notification TEXT COLLATE "C" NOT NULL,                         -- notification.id
    met_at       BIGINT           NOT NULL,                         -- by the body's time stamp, else when it came
    taken_at     BIGINT           NOT NULL,                         -- when its pairs were decided first
    reserved     BIGINT           NOT NULL CHECK (reserved IN (0, 1)), -- the gateway had said yes when it came
    kept         TEXT COLLATE "C" NOT NULL,                         -- JSON: personal fields on the tenant's allow-list
    PRIMARY KEY (tenant, campaign, occurrence)
);

-- What became of each code of a trigger; a held one changes when it is released.
CREATE TABLE trigger_pair (
    tenant     BIGINT           NOT NULL,
    campaign   BIGINT           NOT NULL,
    occurrence TEXT COLLATE "C" NOT NULL,
    code_fold  TEXT COLLATE "C" NOT NULL,
    outcome    TEXT COLLATE "C" NOT NULL,                           -- a counter of campaign_count: granted, repeated, held:REASON, refused:REASON
    waits_with TEXT COLLATE "C",                                    -- notification.id while it is held; NULL: settled
    PRIMARY KEY (tenant, campaign, occurrence, code_fold)
);
CREATE INDEX trigger_pair_waits ON trigger_pair (tenant, campaign, waits_with) WHERE waits_with IS NOT NULL;

-- Triggered grants of a campaign by the minute, for caps. Old minutes go.
CREATE TABLE trigger_minute (
    tenant   BIGINT           NOT NULL,
    campaign BIGINT           NOT NULL,
    minute   BIGINT           NOT NULL,                             -- minutes since 1970
    granted  BIGINT           NOT NULL,
    PRIMARY KEY (tenant, campaign, minute)
);

-- Answers of the gateway: a yes is a reservation until it lapses or event 11 uses it.
CREATE TABLE reservation (
    tenant      BIGINT           NOT NULL,
    customer    TEXT COLLATE "C" NOT NULL,
    campaign    TEXT COLLATE "C" NOT NULL,                          -- campaign.id of the question, folded
    action      BIGINT           NOT NULL,                          -- 0: not told
    series      TEXT COLLATE "C",                                   -- campaign.series_id of the question, folded
    codes       TEXT COLLATE "C" NOT NULL,                          -- the folded codes that are reserved, sorted, one a line
    asked_at    BIGINT           NOT NULL,
    lapses_at   BIGINT           NOT NULL,                          -- exclusive; not used by then: gone
    consumed_by TEXT COLLATE "C",                                   -- the occurrence that used it
    PRIMARY KEY (tenant, customer, campaign, action)
);
CREATE INDEX reservation_lapse ON reservation (tenant, lapses_at);

-- What we registered as the tenant's gateway at Optimove, which has no documented way to ask.
CREATE TABLE gateway (
    tenant        BIGINT           NOT NULL PRIMARY KEY,
    address_hash  BYTEA            NOT NULL,                        -- of version and address: the address holds a secret
    registered_at BIGINT           NOT NULL,                        -- when it was last written to Optimove
    asked_at      BIGINT                                            -- about when the last question came; NULL: none yet
);

-- Decisions that Optimove waits for (asynchronous gateway). A call that was made leaves the table.
CREATE TABLE approval_call (
    tenant   BIGINT           NOT NULL,
    no       BIGINT           NOT NULL,
    user_id  TEXT COLLATE "C" NOT NULL,                             -- exactly as it was asked about
    campaign TEXT COLLATE "C" NOT NULL,                             -- campaign.id of the question, as sent
    allowed  BIGINT           NOT NULL CHECK (allowed IN (0, 1)),   -- 1: yes
    asked_at BIGINT           NOT NULL,                             -- when Optimove asked
    PRIMARY KEY (tenant, no)
);

-- Pool of unique codes of one promotion: there is one as soon as the promotion is of kind unique.
CREATE TABLE code_pool (
    tenant     BIGINT           NOT NULL,
    no         BIGINT           NOT NULL,
    code_fold  TEXT COLLATE "C" NOT NULL,                           -- promotion.code_fold
    loaded     BIGINT           NOT NULL DEFAULT 0,                 -- codes ever loaded: assigned + free + void
    assigned   BIGINT           NOT NULL DEFAULT 0,                 -- codes that belong to a customer
    void       BIGINT           NOT NULL DEFAULT 0,                 -- codes taken out before anybody had them
    fallbacks  BIGINT           NOT NULL DEFAULT 0,                 -- grants that got the fallback code
    next_code  BIGINT           NOT NULL DEFAULT 1,                 -- all codes with a smaller number are taken
    warned     BIGINT           NOT NULL DEFAULT 100,               -- lowest percentage left that was warned of
    PRIMARY KEY (tenant, no),
    UNIQUE (tenant, code_fold),
    CHECK (assigned + void <= loaded)
);

-- One unique code. Given in the order of its number. Only ever added to.
CREATE TABLE pool_code (
    tenant     BIGINT           NOT NULL,
    pool       BIGINT           NOT NULL,                           -- code_pool.no
    no         BIGINT           NOT NULL,                           -- counted per pool from 1, in the order of loading
    code       TEXT COLLATE "C",                                    -- as loaded; NULL: just as its key
    code_key   TEXT COLLATE "C" NOT NULL,                           -- canonical form: what compares when it is typed
    PRIMARY KEY (tenant, pool, no),
    UNIQUE (tenant, code_key)
);

-- Codes that one request has made, however often it is sent.
CREATE TABLE code_batch (
    tenant     BIGINT           NOT NULL,
    pool       BIGINT           NOT NULL,                           -- code_pool.no
    actor      TEXT COLLATE "C" NOT NULL,
    key        TEXT COLLATE "C" NOT NULL,                           -- what the asker names the request by; without one, made up for it
    wanted     BIGINT           NOT NULL,                           -- how many were asked for
    made       BIGINT           NOT NULL DEFAULT 0 CHECK (made <= wanted), -- how many of them are loaded
    created_at BIGINT           NOT NULL,
    PRIMARY KEY (tenant, pool, actor, key)
);

-- A unique code that is free no more: it belongs to a customer, or was taken out. Its key is what makes it happen
-- once. Only ever added to, in the order of numbers, which is what makes it cheap.
CREATE TABLE taken_code (
    tenant     BIGINT           NOT NULL,
    pool       BIGINT           NOT NULL,                           -- code_pool.no
    no         BIGINT           NOT NULL,                           -- pool_code.no
    customer   TEXT COLLATE "C",                                    -- who has it; NULL: nobody, it is void
    offer      BIGINT,                                              -- of which grant
    occurrence TEXT COLLATE "C",                                    -- of that grant
    PRIMARY KEY (tenant, pool, no),
    CHECK ((customer IS NULL) = (offer IS NULL) AND (customer IS NULL) = (occurrence IS NULL))
);

-- A pair that was to be granted when its pool had no code left. It waits here, and goes when it is granted.
CREATE TABLE waiting_pair (
    tenant     BIGINT           NOT NULL,
    offer      BIGINT           NOT NULL,
    customer   TEXT COLLATE "C" NOT NULL,                           -- as Optimove spells it
    window_no  BIGINT           NOT NULL,                           -- eligibility_window.no, as its grant will have it
    page       BIGINT           NOT NULL,                           -- the landed page that its grant will name
    pairs      BIGINT           NOT NULL,                           -- how many pairs are counted as held for it
    PRIMARY KEY (tenant, offer, customer)
);

-- How many grants there are of a code over all campaigns, for limits on all customers.
CREATE TABLE promotion_count (
    tenant    BIGINT           NOT NULL,
    code_fold TEXT COLLATE "C" NOT NULL,
    granted   BIGINT           NOT NULL,
    reserved  BIGINT           NOT NULL DEFAULT 0,                  -- reservations that hold room for it, lapsed ones until they are dropped
    PRIMARY KEY (tenant, code_fold)
);

-- What a request with a key was answered, byte for byte, for as long as the key counts.
CREATE TABLE kept_answer (
    tenant  BIGINT           NOT NULL,
    id      TEXT COLLATE "C" NOT NULL,                              -- time-ordered; redemption.id or pledge.id where it made one
    actor   TEXT COLLATE "C" NOT NULL,                              -- whose key it is
    key     TEXT COLLATE "C" NOT NULL,                              -- what they name the request by
    request BYTEA            NOT NULL,                              -- SHA-256 of what was asked
    status  BIGINT           NOT NULL,                              -- of the answer, as HTTP has it
    body    BYTEA            NOT NULL,                              -- of the answer
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, actor, key)
);

-- One use of a grant. Only ever added to.
CREATE TABLE redemption (
    tenant       BIGINT           NOT NULL,
    id           TEXT COLLATE "C" NOT NULL,                         -- time-ordered
    customer     TEXT COLLATE "C" NOT NULL,
    offer        BIGINT           NOT NULL,
    occurrence   TEXT COLLATE "C" NOT NULL,                         -- as in grants
    code_fold    TEXT COLLATE "C" NOT NULL,                         -- promotion.code_fold
    version      BIGINT           NOT NULL,                         -- promotion.version whose terms it was made under
    amount_minor BIGINT           NOT NULL CHECK (amount_minor >= 0), -- what it took, in minor units; 0: nothing was said
    currency     TEXT COLLATE "C",                                  -- three letters; NULL: nothing was said
    day          TEXT COLLATE "C",                                  -- YYYY-MM-DD in the tenant's zone, of the budgets that it takes from; NULL: of none
    reference    TEXT COLLATE "C",                                  -- the caller's own word for it
    actor        TEXT COLLATE "C" NOT NULL,
    redeemed_at  BIGINT           NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX redemption_grant ON redemption (tenant, customer, offer, occurrence);

-- A redemption that was undone. Only ever added to.
CREATE TABLE reversal (
    tenant      BIGINT           NOT NULL,
    id          TEXT COLLATE "C" NOT NULL,                          -- redemption.id
    reason      TEXT COLLATE "C",                                   -- for people
    actor       TEXT COLLATE "C" NOT NULL,
    reversed_at BIGINT           NOT NULL,
    PRIMARY KEY (tenant, id)
);

-- A redemption that is set aside for a cart: made real, given back, or lapsed by itself.
CREATE TABLE pledge (
    tenant       BIGINT           NOT NULL,
    id           TEXT COLLATE "C" NOT NULL,                         -- time-ordered; the redemption's id if it becomes one
    customer     TEXT COLLATE "C" NOT NULL,
    offer        BIGINT           NOT NULL,
    occurrence   TEXT COLLATE "C" NOT NULL,                         -- as in grants
    code_fold    TEXT COLLATE "C" NOT NULL,                         -- promotion.code_fold
    version      BIGINT           NOT NULL,                         -- promotion.version whose terms it was made under
    amount_minor BIGINT           NOT NULL CHECK (amount_minor >= 0), -- what is set aside, in minor units
    currency     TEXT COLLATE "C",                                  -- three letters; NULL: nothing was said
    day          TEXT COLLATE "C",                                  -- as in redemption
    reference    TEXT COLLATE "C",                                  -- the caller's own word for it
    actor        TEXT COLLATE "C" NOT NULL,
    pledged_at   BIGINT           NOT NULL,
    lapses_at    BIGINT           NOT NULL,                         -- exclusive; not confirmed by then: given back
    state        TEXT COLLATE "C" NOT NULL CHECK (state IN ('open', 'confirmed', 'cancelled', 'lapsed')), -- open may have lapsed by the clock
    ended_at     BIGINT,
    PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX pledge_open ON pledge (tenant, customer, offer, occurrence) WHERE state = 'open';
CREATE INDEX pledge_lapse ON pledge (tenant, code_fold, lapses_at) WHERE state = 'open';

-- How far redemptions and open pledges have used a promotion up, reversals taken off.
CREATE TABLE promotion_use (
    tenant      BIGINT           NOT NULL,
    code_fold   TEXT COLLATE "C" NOT NULL,                          -- promotion.code_fold
    period      TEXT COLLATE "C" NOT NULL,                          -- '': ever; else day, week or month by its first day: D2027-03-25, W2027-03-22, M2027-03-01
    used        BIGINT           NOT NULL,                          -- grants that are used, in part or whole; 0 in periods
    spent_minor BIGINT           NOT NULL,                          -- value in minor units
    pledged     BIGINT           NOT NULL,                          -- pledges among them that are open; 0 in periods
    PRIMARY KEY (tenant, code_fold, period)
);

-- A system of the operator's that hears of grants.
CREATE TABLE destination (
    tenant         BIGINT           NOT NULL,
    no             BIGINT           NOT NULL,
    id             TEXT COLLATE "C" NOT NULL,                       -- slug, chosen by the operator
    kind           TEXT COLLATE "C" NOT NULL CHECK (kind IN ('http', 'jetstream')),
    settings       TEXT COLLATE "C" NOT NULL,                       -- JSON: address, batches, pace
    secrets        BYTEA,                                           -- sealed; NULL: none, or the destination is ended
    heard_event    BIGINT           NOT NULL,                       -- where its next delivery begins: grant_event.no,
    heard_block    BIGINT           NOT NULL DEFAULT 0,             -- grant_block.no within it; 0: its first,
    heard_entry    BIGINT           NOT NULL DEFAULT 0,             -- and the place within the block
    failures       BIGINT           NOT NULL DEFAULT 0,             -- tries that failed in a row, over all deliveries
    rests_until    BIGINT,                                          -- nothing is sent before; NULL: it does not rest
    trouble        TEXT COLLATE "C",                                -- what the newest failed try met
    created_at     BIGINT           NOT NULL,
    paused_at      BIGINT,                                          -- by the operator; what is to be told waits
    ended_at       BIGINT,                                          -- no longer delivered to
    PRIMARY KEY (tenant, no)
);
CREATE UNIQUE INDEX destination_id ON destination (tenant, id) WHERE ended_at IS NULL;

-- What one transaction did to grants of a campaign, packed. Written only for tenants with a destination; only ever
-- added to.
CREATE TABLE grant_block (
    tenant         BIGINT           NOT NULL,
    no             BIGINT           NOT NULL,
    campaign       BIGINT           NOT NULL,
    moves          BIGINT           NOT NULL CHECK (moves IN (0, 1)), -- 1: grants of earlier blocks have other windows or ends now
    entries        BIGINT           NOT NULL,                       -- how many grants
    first_customer TEXT COLLATE "C" NOT NULL,                       -- smallest and
    last_customer  TEXT COLLATE "C" NOT NULL,                       -- largest of its customers' ids
    made_at        BIGINT           NOT NULL,                       -- when it was written
    body           BYTEA            NOT NULL,
    PRIMARY KEY (tenant, no)
);
CREATE INDEX grant_block_campaign ON grant_block (tenant, campaign, no);
CREATE INDEX grant_block_moves ON grant_block (tenant, campaign, no) WHERE moves = 1;

-- Starts and ends of windows that are still to be announced, one row for all grants of a block that share one.
CREATE TABLE grant_due (
    tenant         BIGINT           NOT NULL,
    at             BIGINT           NOT NULL,                       -- when the windows start or end
    what           TEXT COLLATE "C" NOT NULL CHECK (what IN ('start', 'end')),
    block          BIGINT           NOT NULL,                       -- grant_block.no
    PRIMARY KEY (tenant, at, what, block)
);

-- What destinations are told, in order: of the grants of a block, of all blocks of a campaign, or of one document.
-- Only ever added to.
CREATE TABLE grant_event (
    tenant         BIGINT           NOT NULL,
    no             BIGINT           NOT NULL,
    kind           TEXT COLLATE "C" NOT NULL,                       -- grant.created, grant.activated, ...
    campaign       BIGINT           NOT NULL,
    block          BIGINT,                                          -- grant_block.no; NULL: every block of the campaign
    through        BIGINT           NOT NULL,                       -- blocks up to this one were there
    at             BIGINT           NOT NULL,                       -- the instant that it tells of
    noted_at       BIGINT           NOT NULL,                       -- when it was written down
    redemption     TEXT COLLATE "C",                                -- redemption.id; NULL: it tells of none
    correlation    TEXT COLLATE "C",                                -- what it came from; NULL: nobody said
    PRIMARY KEY (tenant, no)
);

-- A batch of events on its way to a destination: everything between two places of what it hears.
CREATE TABLE delivery (
    tenant         BIGINT           NOT NULL,
    destination    BIGINT           NOT NULL,                       -- destination.no
    no             BIGINT           NOT NULL,                       -- counted per destination
    id             TEXT COLLATE "C" NOT NULL,                       -- the same in each try
    state          TEXT COLLATE "C" NOT NULL CHECK (state IN ('waiting', 'sending', 'delivered', 'unknown', 'dead', 'overtaken')),
    from_event     BIGINT           NOT NULL,                       -- as heard_event, heard_block, heard_entry
    from_block     BIGINT           NOT NULL,                       -- grant_block.no; 0: the event's first
    from_entry     BIGINT           NOT NULL,                       -- place within the block
    to_event       BIGINT           NOT NULL,                       -- exclusive
    to_block       BIGINT           NOT NULL,                       -- exclusive, as the next
    to_entry       BIGINT           NOT NULL,                       -- exclusive
    events         BIGINT           NOT NULL,                       -- how many
    planned_at     BIGINT           NOT NULL,                       -- when it was written down
    first_tried_at BIGINT,                                          -- since it was last given up
    attempts       BIGINT           NOT NULL DEFAULT 0,             -- tries since then
    next_at        BIGINT           NOT NULL,                       -- not tried before
    in_doubt       BIGINT           NOT NULL DEFAULT 0 CHECK (in_doubt IN (0, 1)), -- a try may have been applied though it failed
    redriven       BIGINT           NOT NULL DEFAULT 0,             -- times that somebody had it sent again
    settled_at     BIGINT,                                          -- NULL: it waits or is on its way
    detail         TEXT COLLATE "C",                                -- what the newest failed try met
    PRIMARY KEY (tenant, destination, no),
    UNIQUE (tenant, id)
);
-- The state stands in front so that each state's deliveries are found by themselves.
CREATE INDEX delivery_state ON delivery (tenant, destination, state, no) WHERE state <> 'delivered';

-- Grants that have left the ledger for files, by campaign. While there is a row, its campaign takes in nothing more; of a
-- month, nothing from before its end.
CREATE TABLE archive (
    tenant          BIGINT           NOT NULL,
    no              BIGINT           NOT NULL,
    campaign        BIGINT           NOT NULL,                      -- campaign.no
    month           TEXT COLLATE "C" NOT NULL,                      -- '': all of it; else YYYY-MM in UTC: triggers met until its end
    until           BIGINT           NOT NULL,                      -- exclusive end of that month; 0: all of it
    state           TEXT COLLATE "C" NOT NULL CHECK (state IN ('writing', 'dropping', 'dropped')), -- dropping: the files are whole
    place           TEXT COLLATE "C" NOT NULL,                      -- folder of its files, beneath that of all archives
    tallies         TEXT COLLATE "C" NOT NULL DEFAULT '',           -- of its files, a line each: name, rows, SHA-256 of the values and of the file
    grants          BIGINT           NOT NULL DEFAULT 0,            -- in its files
    dropped         BIGINT           NOT NULL DEFAULT 0,            -- of them, those that have left the ledger: used ones stay
    dropped_ends    BIGINT           NOT NULL DEFAULT 0,            -- rows of grant_end that went with them
    dropped_through TEXT COLLATE "C",                               -- how far they have: a customer (folded), or an occurrence; NULL: not begun
    begun_at        BIGINT           NOT NULL,                      -- when its campaign was closed for it
    written_at      BIGINT,                                         -- when the files were found whole
    dropped_at      BIGINT,                                         -- when nothing was left to drop
    PRIMARY KEY (tenant, no),
    UNIQUE (tenant, campaign, month)
);
CREATE INDEX archive_open ON archive (tenant, no) WHERE state <> 'dropped';

-- Pairs of triggers that are in archives, by what became of them. Counted with those that are still here.
CREATE TABLE archived_pairs (
    tenant          BIGINT           NOT NULL,
    campaign        BIGINT           NOT NULL,
    outcome         TEXT COLLATE "C" NOT NULL,                      -- trigger_pair.outcome
    pairs           BIGINT           NOT NULL,
    PRIMARY KEY (tenant, campaign, outcome)
);

-- Triggered grants that are in archives, by customer: caps count them.
CREATE TABLE archived_grants (
    tenant          BIGINT           NOT NULL,
    customer        TEXT COLLATE "C" NOT NULL,
    campaign        BIGINT           NOT NULL,
    grants          BIGINT           NOT NULL,                      -- how many
    PRIMARY KEY (tenant, customer, campaign)
);
