//! Transactions that change something and leave no audit record, each with the reason why. Every world holds its
//! service to it: any other one that leaves none panics.

/// Name, and why.
pub(crate) const SILENT: &[(&str, &str)] = &[
    (
        "claim_job",
        "the claims of jobs, and what is still to be done: nobody's decision",
    ),
    (
        "finish_job",
        "the claims of jobs, and what is still to be done: nobody's decision",
    ),
    (
        "fail_job",
        "the claims of jobs, and what is still to be done: nobody's decision",
    ),
    (
        "keep_job",
        "the claims of jobs, and what is still to be done: nobody's decision",
    ),
    (
        "release_leases_of_the_gone",
        "the claims of jobs, and what is still to be done: nobody's decision",
    ),
    (
        "release_all_leases",
        "the claims of jobs, and what is still to be done: nobody's decision",
    ),
    (
        "want_regular",
        "the claims of jobs, and what is still to be done: nobody's decision",
    ),
    (
        "want_release",
        "the claims of jobs, and what is still to be done: nobody's decision",
    ),
    (
        "want_swept",
        "the claims of jobs, and what is still to be done: nobody's decision",
    ),
    (
        "want_zones",
        "the claims of jobs, and what is still to be done: nobody's decision",
    ),
    (
        "want_pages",
        "the claims of jobs, and what is still to be done: nobody's decision",
    ),
    (
        "plan_ended_days",
        "the claims of jobs, and what is still to be done: nobody's decision",
    ),
    (
        "clear_campaign_error",
        "the claims of jobs, and what is still to be done: nobody's decision",
    ),
    (
        "begin_pass",
        "a step of an import: its pages, and its end with all counts, have records",
    ),
    (
        "end_pass",
        "a step of an import: its pages, and its end with all counts, have records",
    ),
    (
        "reread_lists",
        "a step of an import: its pages, and its end with all counts, have records",
    ),
    (
        "share_list",
        "a step of an import: its pages, and its end with all counts, have records",
    ),
    (
        "end_range",
        "a step of an import: its pages, and its end with all counts, have records",
    ),
    (
        "put_details",
        "a step of an import: its pages, and its end with all counts, have records",
    ),
    (
        "number_terms",
        "a step of an import: its pages, and its end with all counts, have records",
    ),
    (
        "begin_merge",
        "a step of an import: its pages, and its end with all counts, have records",
    ),
    (
        "merge_chunk",
        "a step of an import: its pages, and its end with all counts, have records",
    ),
    (
        "end_merge",
        "a step of an import: its pages, and its end with all counts, have records",
    ),
    ("accept_notification", "a notification is its own record"),
    (
        "settle_notifications",
        "what a notification asks for is done by jobs that leave records under its id; a trigger's row says what became of each code",
    ),
    (
        "rerun_triggers",
        "what a notification asks for is done by jobs that leave records under its id; a trigger's row says what became of each code",
    ),
    (
        "begin_round_pass",
        "a step of a round of clearance: its beginning, its list and its end have records",
    ),
    (
        "decide_clearance",
        "a step of a round of clearance: its beginning, its list and its end have records",
    ),
    (
        "begin_report",
        "a step of a round of clearance: its beginning, its list and its end have records",
    ),
    (
        "settle_report",
        "a step of a round of clearance: its beginning, its list and its end have records",
    ),
    (
        "hold_cancel",
        "a step of a cancel: what it comes to has a record",
    ),
    (
        "settle_cancel",
        "a step of a cancel: what it comes to has a record",
    ),
    (
        "settle_cancelled_list",
        "a step of a cancel: what it comes to has a record",
    ),
    (
        "begin_ended_day",
        "a step of a day's list of ended actions, whose row has the counts",
    ),
    (
        "land_ended_page",
        "a step of a day's list of ended actions, whose row has the counts",
    ),
    (
        "finish_ended_day",
        "a step of a day's list of ended actions, whose row has the counts",
    ),
    (
        "release_chunk",
        "a step of a release: asking for it has a record, and what is granted has one by campaign",
    ),
    (
        "end_release",
        "a step of a release: asking for it has a record, and what is granted has one by campaign",
    ),
    (
        "archive_is_written",
        "a step of an archive, whose beginning and end have records",
    ),
    (
        "drop_delivered",
        "a chore of retention, over what was delivered and has gone",
    ),
    (
        "drop_rows",
        "a step of an archive, whose beginning and end have records",
    ),
    (
        "drop_grants",
        "a step of an archive, whose beginning and end have records",
    ),
    (
        "drop_triggers",
        "a step of an archive, whose beginning and end have records",
    ),
    (
        "weigh_campaign",
        "weighed, and found to be within its bounds",
    ),
    (
        "accept_listener_secrets",
        "a step of a sync that leaves a record at its end",
    ),
    (
        "accept_gateway_secret",
        "a step of a sync that leaves a record at its end",
    ),
    (
        "gateway_registered",
        "a step of a sync that leaves a record at its end",
    ),
    (
        "intend_promotions",
        "a step of a sync that leaves a record at its end",
    ),
    (
        "retire_old_listeners",
        "a step of a sync that leaves a record at its end",
    ),
    (
        "note_catalogue_seen",
        "a step of a sync that leaves a record at its end",
    ),
    (
        "begin_codes",
        "a step of loading codes: each load has a record",
    ),
    (
        "end_load",
        "a step of loading codes: each load has a record",
    ),
    (
        "redeem",
        "a refusal that is kept for its key, and an attempt that is counted",
    ),
    (
        "answer_gateway",
        "a reservation or a no; the grant that may come of it is recorded by its trigger",
    ),
    (
        "approval_sent",
        "a reservation or a no; the grant that may come of it is recorded by its trigger",
    ),
    (
        "plan_deliveries",
        "deliveries have a state and a history of their own",
    ),
    (
        "end_tries",
        "deliveries have a state and a history of their own",
    ),
    (
        "send_deliveries",
        "deliveries have a state and a history of their own",
    ),
    (
        "announce",
        "deliveries have a state and a history of their own",
    ),
    (
        "announce_moved_windows",
        "deliveries have a state and a history of their own",
    ),
    (
        "record_drift",
        "findings have a state of their own; settling one leaves a record",
    ),
    (
        "find_clearance",
        "findings have a state of their own; settling one leaves a record",
    ),
    (
        "find_unsent",
        "findings have a state of their own; settling one leaves a record",
    ),
    (
        "find_broken_audit",
        "findings have a state of their own; settling one leaves a record",
    ),
    ("seal_audit", "a checkpoint over records"),
    (
        "take_calls",
        "the budget of calls and the session that processes share",
    ),
    (
        "end_calls",
        "the budget of calls and the session that processes share",
    ),
    (
        "find_session",
        "the budget of calls and the session that processes share",
    ),
    (
        "end_login",
        "the budget of calls and the session that processes share",
    ),
    ("test", BY_HAND),
    ("plant", BY_HAND),
    ("damage", BY_HAND),
    ("claim", BY_HAND),
    ("suspend", BY_HAND),
    ("older_zone_data", BY_HAND),
    ("test_want", BY_HAND),
];

/// Of transactions that are no part of the service.
pub(crate) const BY_HAND: &str = "the test itself";
