//! What the demo found, as a table for people and as JSON for programs.

use std::net::SocketAddr;

use serde::Serialize;
use serde_json::Value;

use super::Durations;
use super::act::Act;
use super::check::{Asked, Compared};

/// What came of the demo. A line of JSON; its fields only grow.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Summary {
    /// Whether every check held.
    pub(super) verified: bool,
    customers: u64,
    campaign_id: String,
    /// As the campaign tells them.
    counts: Value,
    /// Whether pairs are granted, repeated, held or refused, and nothing else.
    adds_up: bool,
    /// Grants that should be there.
    expected: u64,
    /// Grants that are there.
    granted: u64,
    missing: u64,
    unexpected: u64,
    different_window: u64,
    /// Eligibility questions, and those whose answer was not as it should be.
    questions: u64,
    wrong_answers: u64,
    /// What `verify` found broken.
    violations: usize,
    /// The smaller campaigns, each with its own checks.
    campaigns: Vec<Act>,
    /// Calls that the stand-in counted, by function.
    calls: Value,
    /// From the campaign's execution to the last grant.
    import_seconds: f64,
    grants_per_second: f64,
    /// The smaller campaigns, with their own checks.
    others_seconds: f64,
    /// Comparing, asking and verifying.
    check_seconds: f64,
    /// Where the service listens.
    address: String,
}

/// What it is made from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told<'a> {
    /// The campaign, as the API shows it.
    pub(super) view: &'a Value,
    /// The stand-in's log of calls.
    pub(super) calls: &'a Value,
    pub(super) compared: &'a Compared,
    pub(super) asked: &'a Asked,
    /// Broken invariants.
    pub(super) broken: usize,
    pub(super) acts: &'a [Act],
}

impl Summary {
    pub(super) fn new(
        customers: u64,
        campaign: &str,
        told: Told<'_>,
        took: Durations,
        address: SocketAddr,
    ) -> Self {
        let Told {
            view,
            calls,
            compared,
            asked,
            broken,
            acts,
        } = told;
        let counts = view["counts"].clone();
        let adds_up = adds_up(&counts) && counts["granted"].as_u64() == Some(compared.granted);
        let verified = adds_up
            && compared.is_equal()
            && asked.wrong == 0
            && broken == 0
            && acts.iter().all(|act| act.verified);
        let import_seconds = took.import.as_secs_f64();
        Self {
            verified,
            customers,
            campaign_id: campaign.to_owned(),
            counts,
            adds_up,
            expected: compared.expected,
            granted: compared.granted,
            missing: compared.missing,
            unexpected: compared.unexpected,
            different_window: compared.different_window,
            questions: asked.questions,
            wrong_answers: asked.wrong,
            violations: broken,
            campaigns: acts.to_vec(),
            calls: calls["by_function"].clone(),
            import_seconds,
            grants_per_second: compared.granted as f64 / import_seconds.max(f64::EPSILON),
            others_seconds: took.others.as_secs_f64(),
            check_seconds: took.check.as_secs_f64(),
            address: address.to_string(),
        }
    }

    /// Lines for people.
    pub(super) fn table(&self) -> Vec<String> {
        let number = |name: &str| self.counts[name].as_u64().unwrap_or_default();
        let rows = [
            ("rows received", number("rows")),
            ("  without a promo code", number("rows_without_code")),
            ("pairs of customer and code", number("pairs")),
            ("  granted", number("granted")),
            ("  repeated (another channel)", number("repeated")),
            ("  held", sum(&self.counts["held"])),
            ("  refused", sum(&self.counts["refused"])),
            ("grants that should be there", self.expected),
            ("  missing", self.missing),
            ("  there and should not be", self.unexpected),
            ("  with another window", self.different_window),
            ("eligibility questions", self.questions),
            ("  answered wrongly", self.wrong_answers),
            ("invariants broken", self.violations as u64),
            ("calls to Optimove", sum(&self.calls)),
        ];
        let mut lines: Vec<String> = rows
            .iter()
            .map(|(name, value)| format!("{name:<32}{value:>12}"))
            .collect();
        lines.push(format!(
            "{:<24}{:>10}{:>10}{:>10}  {}",
            "also played", "customers", "granted", "in force", "checks"
        ));
        lines.extend(self.campaigns.iter().map(|act| {
            format!(
                "  {:<22}{:>10}{:>10}{:>10}  {}",
                act.kind.replace('_', ", "),
                act.customers,
                act.granted,
                act.expected,
                if act.verified { "held" } else { "NOT held" }
            )
        }));
        let calls = self.calls.as_object().into_iter().flatten();
        lines.extend(calls.map(|(name, n)| format!("  {name:<40}{n:>6}")));
        lines.push(format!(
            "{:.1} s from execution to the last grant ({:.0} grants/s), {:.1} s to check it all",
            self.import_seconds, self.grants_per_second, self.check_seconds
        ));
        let verdict = if self.verified {
            "Every check held."
        } else {
            "NOT every check held."
        };
        lines.push(verdict.to_owned());
        lines
    }
}

/// Pairs are granted, repeated, held or refused, and nothing else.
fn adds_up(counts: &Value) -> bool {
    let number = |name: &str| counts[name].as_u64().unwrap_or_default();
    let settled =
        number("granted") + number("repeated") + sum(&counts["held"]) + sum(&counts["refused"]);
    number("pairs") == settled
}

fn sum(by_name: &Value) -> u64 {
    by_name
        .as_object()
        .map_or(0, |all| all.values().filter_map(Value::as_u64).sum())
}
