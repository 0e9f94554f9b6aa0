//! From a seed to a history: operations are drawn, as their worlds are, and never tuned to what the service does.

use bestow_store::Fault;
use serde_json::json;

use super::model::{CampaignPlan, Dice, History, Kind, Manner, Op, Posts, Times, World};
use super::worlds::{CODES, world};
use super::{destinations, guards};

/// Ways in which answers differ without being wrong.
const SHAPES: [(&str, &[&str]); 19] = [
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
    ("event11-casing", &["camel", "pascal"]),
    (
        "event11-promo-code",
        &["array", "csv", "json-array-string", "null-value", "absent"],
    ),
    ("event11-parameters", &["flat", "nested"]),
    ("cancelled-list", &["window", "removed"]),
    ("late-status", &["ignore", "refuse"]),
    ("batch-bad-entry", &["refuse-all", "skip"]),
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
/// What the service calls while it works.
const FUNCTIONS: [&str; 11] = [
    "GetCampaignDetails",
    "GetCustomerExecutionDetailsByCampaign",
    "GetExecutedCampaignsByChannel",
    "GetExecutedCampaignDetails",
    "GetProcessedCampaignCustomers",
    "UpdateCustomerPromotionStatus",
    "GetCanceledCampaignCustomers",
    "GetCustomersActionEndedByDate",
    "AddPromotions",
    "GetPromotions",
    "DeletePromotions",
];
/// How the operator's own system may answer.
const MANNERS: [Manner; 5] = [
    Manner::Choosy,
    Manner::Decisions,
    Manner::Slow,
    Manner::Broken,
    Manner::Odd,
];
/// Transactions of a campaign's life, in their order.
const TRANSACTIONS: [&str; 46] = [
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
    "begin_round_pass",
    "complete_round_list",
    "decide_clearance",
    "begin_report",
    "settle_report",
    "close_round",
    "reread_lists",
    "settle_cancel",
    "hold_cancel",
    "settle_cancelled_list",
    "rerun_triggers",
    "exclude",
    "load_codes",
    "end_load",
    "grant_waiting",
    "answer_gateway",
    "plan_ended_days",
    "begin_ended_day",
    "land_ended_page",
    "finish_ended_day",
    "intend_promotions",
    "settle_catalogue",
    "settle_listeners",
    "redeem",
];

/// The history of a seed.
pub(crate) fn history(seed: u64) -> History {
    let dice = Dice::new(seed);
    let mut world = world(&dice);
    let mut ops = ops(&dice, &world);
    guards::draw(seed, &mut world, &mut ops);
    destinations::draw(seed, &mut world, &mut ops);
    History { seed, world, ops }
}

fn ops(dice: &Dice, world: &World) -> Vec<Op> {
    let mut ops: Vec<Op> = (0..dice.between(12, 36)).map(|_| op(dice, world)).collect();
    for _ in 0..dice.between(0, 14) {
        ops.insert(
            dice.below(ops.len() as u64) as usize,
            of_people(dice, world),
        );
    }
    for campaign in 0..world.campaigns.len() {
        // Most campaigns run early, so that most of what happens meets them.
        let end = (ops.len() / 2) as u64;
        let place = dice.below(end) as usize;
        ops.insert(place, Op::Process(campaign));
        let is_waiting = matches!(world.campaigns[campaign].kind, Kind::Conditional { .. });
        if is_waiting && dice.chance(70) {
            // Whoever waits for an answer mostly gets to ask in time.
            let place = dice.between(place as u64 + 1, end + 1) as usize;
            ops.insert(place, Op::Work(dice.between(1, 8) as u8));
            ops.insert(place, notify(dice, campaign));
        }
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
        24..=39 => notify(dice, campaign),
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
        97 => match world.campaigns[campaign].kind {
            Kind::Scheduled => forge(dice, campaign),
            Kind::Conditional { .. } if dice.chance(50) => Op::ForgeClearance {
                campaign,
                seconds: *dice.pick(&[-60, 120, 600, 5_000]),
            },
            _ => Op::ForgeCancel(campaign),
        },
        98 => Op::ExpireToken {
            commit: dice.between(1, 20) as u32,
        },
        _ => Op::Ask(campaign),
    }
}

fn notify(dice: &Dice, campaign: usize) -> Op {
    Op::Notify {
        campaign,
        which: dice.number() as u8,
        copies: *dice.pick(&[1, 1, 2, 10]),
        order: dice.number(),
        posts: *dice.pick(&[Posts::InTurn, Posts::InTurn, Posts::AtOnce]),
    }
}

fn forge(dice: &Dice, campaign: usize) -> Op {
    if dice.chance(50) {
        Op::Forge(campaign)
    } else {
        Op::ForgeCancel(campaign)
    }
}

/// What customers and those who serve them do.
fn of_people(dice: &Dice, world: &World) -> Op {
    let campaign = dice.below(world.campaigns.len() as u64) as usize;
    let met: Vec<usize> = (0..world.campaigns.len())
        .filter(|place| world.campaigns[*place].kind == Kind::Triggered)
        .collect();
    let code = dice.below(CODES.len() as u64) as usize;
    match dice.below(20) {
        18 => Op::WriteThere {
            tenant: world.campaigns[campaign].tenant,
            code,
        },
        0 => Op::Exclude {
            campaign,
            customer: dice.below(8),
        },
        1 => Op::IncludeAll(world.campaigns[campaign].tenant),
        2 => Op::Pause(code),
        3 => Op::Ask(campaign),
        4 | 5 => Op::Load {
            code,
            count: *dice.pick(&[1, 10, 100]),
        },
        6 | 7 => Op::Operator(*dice.pick(&MANNERS)),
        8 => Op::Sync(world.campaigns[campaign].tenant),
        9 => Op::Rotate(world.campaigns[campaign].tenant),
        10..=12 if !met.is_empty() => Op::Question {
            campaign: *dice.pick(&met),
            customer: dice.number(),
            times: *dice.pick(&[1, 2, 3]),
        },
        13 | 14 | 19 => Op::Redeem {
            campaign,
            customer: dice.number(),
            copies: *dice.pick(&[1, 1, 2, 3]),
        },
        _ if met.is_empty() => Op::Ask(campaign),
        _ => Op::Trigger {
            campaign: *dice.pick(&met),
            customers: (0..dice.between(1, 6))
                .map(|_| (dice.number(), dice.chance(10)))
                .collect(),
            copies: *dice.pick(&[1, 1, 3]),
            order: dice.number(),
            posts: *dice.pick(&[Posts::InTurn, Posts::InTurn, Posts::AtOnce]),
        },
    }
}

pub(super) fn before_or_after(dice: &Dice) -> Fault {
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
