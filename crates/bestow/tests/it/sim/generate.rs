//! From a seed to a history: worlds and operations are drawn, never tuned to what the service does.

use bestow_store::Fault;
use serde_json::{Value, json};

use super::model::{
    Access, CampaignPlan, CodePlan, Dice, History, Known, Op, Posts, TenantPlan, Times, World,
};

/// Zones with a local time at which their clocks change, or at which nothing happens where they never do.
const ZONES: [(&str, &[&str]); 10] = [
    ("Europe/Lisbon", &["2027-03-28T01:30", "2027-10-31T01:30"]),
    (
        "America/New_York",
        &["2027-03-14T02:30", "2027-11-07T01:30"],
    ),
    (
        "Australia/Lord_Howe",
        &["2027-10-03T02:15", "2027-04-04T01:45"],
    ),
    ("Pacific/Chatham", &["2027-09-26T02:50", "2027-04-04T03:00"]),
    ("Africa/Cairo", &["2027-04-30T00:30", "2027-10-28T23:30"]),
    ("America/Havana", &["2027-03-14T00:00", "2027-11-07T00:30"]),
    ("Asia/Kathmandu", &["2027-03-25T00:00"]),
    (
        "America/St_Johns",
        &["2027-03-14T02:01", "2027-11-07T01:59"],
    ),
    ("Pacific/Kiritimati", &["2027-03-25T23:59"]),
    ("UTC", &["2027-03-25T09:05"]),
];

/// Codes as catalogues spell them. The draws decide when each is known.
const CODES: [&str; 7] = [
    "FS20", "CB10", "RELOAD", "vip 20", "ÉTÉ-10", "lucky7", "Zz.Top",
];
/// Beginnings of customer ids: none, zeros, a letter, other scripts, blanks and signs.
const PREFIXES: [&str; 7] = ["", "00", "P-", "zoë", "客", "a b/", "x&y=%2C"];
/// Channels that every tenant of the stand-in has.
const CHANNELS: [u64; 3] = [504, 505, 506];
/// Pages that one list may take, so that a history stays short.
const PAGES_MAX: u64 = 12;
/// Customers of a campaign.
const AUDIENCE_MAX: u64 = 400;

/// Ways in which answers differ without being wrong.
const SHAPES: [(&str, &[&str]); 13] = [
    (
        "promo-codes",
        &[
            "csv",
            "csv-spaced",
            "array",
            "json-array-string",
            "row-per-code",
        ],
    ),
    ("ids", &["documented", "number", "string"]),
    ("key-casing", &["documented", "live", "camel", "lower"]),
    ("booleans", &["json", "string"]),
    (
        "schedule-field",
        &["schedule-time", "scheduled-time", "both"],
    ),
    (
        "empty-result",
        &["array", "no-content", "not-found", "empty-body"],
    ),
    ("void-body", &["empty", "response-code", "json-true"]),
    (
        "error-body",
        &[
            "json-string",
            "plain",
            "problem",
            "errors-object",
            "error-object",
            "double-encoded",
        ],
    ),
    ("transfer", &["content-length", "chunked"]),
    ("page-churn", &["off", "repeat", "skip"]),
    ("event-type-in-body", &["on", "off"]),
    (
        "token-expired-body",
        &["plain", "plain-lower", "json-string"],
    ),
    ("retry-after", &["absent", "seconds"]),
];

/// Ways in which calls fail; the slow one is drawn apart.
const FAULTS: [&str; 6] = [
    "status-500",
    "status-503",
    "reset",
    "truncate",
    "html-200",
    "string-200",
];
/// What the service calls while it imports.
const FUNCTIONS: [&str; 4] = [
    "GetCampaignDetails",
    "GetCustomerExecutionDetailsByCampaign",
    "GetExecutedCampaignsByChannel",
    "GetExecutedCampaignDetails",
];
/// Transactions of an import's life, in their order.
const TRANSACTIONS: [&str; 22] = [
    "accept_notification",
    "settle_notifications",
    "claim_job",
    "put_details",
    "begin_pass",
    "number_terms",
    "land_page",
    "end_pass",
    "begin_merge",
    "merge_chunk",
    "end_merge",
    "complete_import",
    "release_chunk",
    "end_release",
    "finish_job",
    "fail_job",
    "want_swept",
    "hold_import",
    "clear_campaign_error",
    "resume_campaign",
    "put_promotion",
    "set_tenant_suspended",
];

/// The history of a seed.
pub(crate) fn history(seed: u64) -> History {
    let dice = Dice::new(seed);
    let world = world(&dice);
    let ops = ops(&dice, &world);
    History { seed, world, ops }
}

fn world(dice: &Dice) -> World {
    let has_lead = dice.chance(70);
    let page_rows = *dice.pick(&[1, 2, 3, 7, 20, 40]);
    let tenants = tenants(dice);
    let codes: Vec<CodePlan> = CODES
        .iter()
        .map(|code| {
            let known = *dice.pick(&[
                Known::Active,
                Known::Active,
                Known::Active,
                Known::Active,
                Known::Draft,
                Known::Later,
                Known::Never,
            ]);
            CodePlan { code, known }
        })
        .collect();
    let campaigns = (0..dice.between(1, 3))
        .map(|index| {
            let tenant = dice.below(tenants.len() as u64) as usize;
            let spec = campaign(dice, &tenants[tenant], page_rows, has_lead);
            CampaignPlan {
                id: 7_001 + index,
                tenant,
                spec,
            }
        })
        .collect();
    World {
        tenants,
        campaigns,
        codes,
        page_rows: page_rows as u32,
        merge_grants_max: *dice.pick(&[1, 5, 50, 4_000]),
        times: *dice.pick(&[Times::Local, Times::Local, Times::WithOffset]),
        has_lead,
    }
}

fn tenants(dice: &Dice) -> Vec<TenantPlan> {
    let tenant = |id| {
        let mut channels = CHANNELS.to_vec();
        if dice.chance(15) {
            channels.clear();
        }
        let access = if dice.chance(6) {
            Access::Login
        } else {
            Access::ApiKey
        };
        TenantPlan {
            id,
            zone: dice.pick(&ZONES).0,
            channels,
            access,
        }
    };
    let mut tenants = vec![tenant("acme")];
    if dice.chance(20) {
        tenants.push(tenant("beta"));
    }
    tenants
}

fn campaign(dice: &Dice, tenant: &TenantPlan, page_rows: u64, has_lead: bool) -> Value {
    let actions: Vec<u64> = (24..=24 + dice.below(3)).collect();
    let lead = if has_lead {
        *dice.pick(&[0, 1, 2, 7])
    } else {
        0
    };
    let duration = *dice.pick(&[0, 1, 3, 7, 30]);
    json!({
        "audience": audience(dice, page_rows, &actions),
        "control_share": *dice.pick(&[0.0, 0.0, 0.1, 0.5]),
        "actions": actions.iter().map(|id| action(dice, *id)).collect::<Vec<_>>(),
        "scheduled_at": scheduled_at(dice, tenant.zone, lead, duration),
        "lead_time": lead,
        "duration": duration,
    })
}

fn action(dice: &Dice, id: u64) -> Value {
    let codes: Vec<String> = (0..dice.below(4)).map(|_| spelled(dice)).collect();
    let mut channels = CHANNELS.to_vec();
    dice.shuffle(&mut channels);
    channels.truncate(dice.between(1, 3) as usize);
    let channels: Vec<Value> = channels
        .iter()
        .map(|channel| {
            json!({
                "id": channel,
                "share": *dice.pick(&[1.0, 1.0, 0.6, 0.3, 0.0]),
                "delay_minutes": *dice.pick(&[0, 0, 15, 1_560]),
            })
        })
        .collect();
    json!({ "id": id, "promo_codes": codes, "channels": channels })
}

/// A code in a spelling of its own.
fn spelled(dice: &Dice) -> String {
    let code = *dice.pick(&CODES);
    match dice.below(4) {
        0 => code.to_lowercase(),
        1 => code.to_uppercase(),
        _ => code.to_owned(),
    }
}

/// Sizes around the edges of pages, or a list by hand.
fn audience(dice: &Dice, page_rows: u64, actions: &[u64]) -> Value {
    if dice.chance(25) {
        return json!({ "customers": listed(dice, actions) });
    }
    let pages = dice.between(2, PAGES_MAX);
    let count = match dice.below(8) {
        0 => 0,
        1 => 1,
        2 => page_rows - 1,
        3 => page_rows,
        4 => page_rows + 1,
        5 => page_rows * pages,
        _ => dice.below(page_rows * PAGES_MAX),
    };
    json!({ "count": count.min(AUDIENCE_MAX), "prefix": dice.pick(&PREFIXES) })
}

/// Customers with ids nearly alike, rows that come twice, codes of their own.
fn listed(dice: &Dice, actions: &[u64]) -> Vec<Value> {
    (0..dice.between(1, 24))
        .map(|_| {
            let id = match dice.below(4) {
                0 => format!("{:03}", dice.below(12)),
                1 => format!("Ab{}", dice.below(4)),
                2 => format!("aB{}", dice.below(4)),
                _ => format!("{}{}", dice.pick(&PREFIXES), dice.below(20)),
            };
            let id = if id.is_empty() { "7".to_owned() } else { id };
            match dice.below(4) {
                0 => json!(id),
                1 => json!({ "id": id, "action": 1 }),
                2 => json!({ "id": id, "action": dice.pick(actions) }),
                _ => {
                    let codes = format!(" {} ,, {}", spelled(dice), spelled(dice));
                    json!({ "id": id, "action": dice.pick(actions), "promo_code": codes })
                }
            }
        })
        .collect()
}

/// A local time such that the message, the start or the end meets a change of clocks.
fn scheduled_at(dice: &Dice, zone: &str, lead: i64, duration: i64) -> String {
    let changes = ZONES
        .iter()
        .find(|(name, _)| *name == zone)
        .map_or(&[][..], |(_, at)| at);
    let at: jiff::civil::DateTime = dice.pick(changes).parse().expect("a local time");
    let back = *dice.pick(&[0, lead, lead + duration, duration]);
    let minutes = *dice.pick(&[0, 0, -30, 30, 60, 600]);
    let span = jiff::Span::new().days(-back).minutes(minutes);
    at.checked_add(span)
        .expect("within the calendar")
        .to_string()
}

fn ops(dice: &Dice, world: &World) -> Vec<Op> {
    let mut ops: Vec<Op> = (0..dice.between(12, 36)).map(|_| op(dice, world)).collect();
    for campaign in 0..world.campaigns.len() {
        // Most campaigns run early, so that most of what happens meets them.
        let end = (ops.len() / 2) as u64;
        ops.insert(dice.below(end) as usize, Op::Process(campaign));
    }
    if may_repeat_customers(world, &ops) {
        keep_rows(&mut ops);
    }
    tell_nothing_plainly(&mut ops);
    ops
}

/// A 404 stands for an empty list only where its body is plain; what else it may mean nobody can tell.
fn tell_nothing_plainly(ops: &mut [Op]) {
    let is_not_found = |op: &Op| matches!(op, Op::Switch(_, value) if value == "not-found");
    if !ops.iter().any(is_not_found) {
        return;
    }
    for op in ops {
        if matches!(op, Op::Switch("error-body", value) if value != "plain") {
            *op = Op::Switch("error-body", json!("json-string"));
        }
    }
}

/// Whether a customer may have several rows in one list.
fn may_repeat_customers(world: &World, ops: &[Op]) -> bool {
    let is_listed = |plan: &CampaignPlan| plan.spec["audience"]["customers"].is_array();
    let is_per_code = |op: &Op| matches!(op, Op::Switch(_, value) if value == "row-per-code");
    world.campaigns.iter().any(is_listed) || ops.iter().any(is_per_code)
}

/// Rows that go missing between pages are found out by their number. Where customers have several rows, as many may
/// go missing as there are too many, and nobody can tell: `docs/simulation.md` says so.
fn keep_rows(ops: &mut [Op]) {
    for op in ops {
        if matches!(op, Op::Switch("page-churn", value) if value == "skip") {
            *op = Op::Switch("page-churn", json!("repeat"));
        }
    }
}

fn op(dice: &Dice, world: &World) -> Op {
    let campaign = dice.below(world.campaigns.len() as u64) as usize;
    let tenant = dice.below(world.tenants.len() as u64) as usize;
    match dice.below(100) {
        0..=23 => Op::Work(dice.between(1, 6) as u8),
        24..=39 => Op::Notify {
            campaign,
            which: dice.number() as u8,
            copies: *dice.pick(&[1, 1, 2, 10]),
            order: dice.number(),
            posts: *dice.pick(&[Posts::InTurn, Posts::InTurn, Posts::AtOnce]),
        },
        40..=56 => switch(dice, world),
        57..=64 => Op::Advance(*dice.pick(&[1, 61, 299, 301, 900, 3_700])),
        65..=71 => fault(dice),
        72..=74 => Op::Calm,
        75..=81 => {
            let first = dice.below(3) as u32;
            // The store tries four times, so that one failure is mended on the way and six are not.
            let places = first..first + *dice.pick(&[1, 1, 2, 6]);
            let name = *dice.pick(&TRANSACTIONS);
            Op::FailCommit {
                name,
                places,
                fault: before_or_after(dice),
            }
        }
        82..=86 => Op::Crash {
            commit: dice.between(1, 25) as u32,
            fault: before_or_after(dice),
        },
        87 => Op::Restart,
        88..=90 => Op::Promote(dice.below(CODES.len() as u64) as usize),
        91 => Op::CloseDay(tenant),
        92 => Op::Cancel(campaign),
        93 => Op::Suspend(tenant),
        94..=95 => Op::Resume(tenant),
        96 => Op::Release(campaign),
        97 => Op::Forge(campaign),
        98 => Op::ExpireToken {
            commit: dice.between(1, 20) as u32,
        },
        _ => Op::Ask(campaign),
    }
}

fn before_or_after(dice: &Dice) -> Fault {
    *dice.pick(&[Fault::BeforeCommit, Fault::AfterCommit])
}

fn switch(dice: &Dice, world: &World) -> Op {
    match dice.below(20) {
        0 => {
            let cap = *dice.pick(&[Some(1), Some(2), Some(5), Some(17), None]);
            Op::Switch("page-cap", json!(cap))
        }
        1 if world.times == Times::Local => Op::Switch(
            "time-format",
            json!(dice.pick(&["space", "minutes", "iso"])),
        ),
        2 if !world.has_lead => Op::Switch(
            "optional-fields",
            json!(dice.pick(&["present", "null-value", "absent"])),
        ),
        3 if dice.chance(10) => Op::Switch("rate-limit-requests", json!(40)),
        _ => {
            let (name, values) = *dice.pick(&SHAPES);
            Op::Switch(name, json!(dice.pick(values)))
        }
    }
}

fn fault(dice: &Dice) -> Op {
    // A call that never ends costs real time, so it is drawn seldom.
    if dice.chance(4) {
        let functions = vec![FUNCTIONS[0]];
        return Op::Fault {
            kind: "timeout",
            percent: 30,
            functions,
        };
    }
    // Not the login: an old server says with a 500 that it refuses one, and then nobody tries for a real minute.
    let functions = if dice.chance(50) {
        vec![*dice.pick(&FUNCTIONS)]
    } else {
        FUNCTIONS.to_vec()
    };
    let kind = *dice.pick(&FAULTS);
    Op::Fault {
        kind,
        percent: *dice.pick(&[10, 30, 60, 100]),
        functions,
    }
}
